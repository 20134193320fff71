"""All SQL of the exports."""

from collections.abc import AsyncGenerator, Sequence
from dataclasses import dataclass
from typing import Any

from sqlalchemy import ColumnElement, Row, Select, func, select, text, true
from sqlalchemy.dialects.postgresql import aggregate_order_by
from sqlalchemy.ext.asyncio import AsyncSession
from sqlalchemy.orm import aliased

from app.exports.aggregate import Answer
from app.exports.pairs import Candidate, LabelledPair
from app.storage.tables import Label, Pair, Prompt, Response

_ROWS_PER_FETCH = 200


@dataclass(frozen=True, slots=True)
class Source:
    """The labels that an export takes: a project's, with or without the surplus."""

    project_id: int
    surplus: bool


async def begin_snapshot(session: AsyncSession) -> None:
    """Make all that follows in this transaction read one and the same state of the database.

    The plan of a cursor is the one that gives its first row soonest, which here is the one that
    never sorts the whole project.
    """
    await session.execute(text("SET TRANSACTION ISOLATION LEVEL REPEATABLE READ, READ ONLY"))
    await session.execute(text("SET LOCAL cursor_tuple_fraction = 0"))
    await session.execute(text("SET LOCAL jit = off"))


async def count_prompts_without_group(session: AsyncSession, project_id: int) -> int:
    """Prompts that have not arrived in the plan. Served by ``ix_prompts_group``."""
    statement = (
        select(func.count())
        .select_from(Prompt)
        .where(Prompt.project_id == project_id, Prompt.group_id.is_(None))
    )
    return (await session.execute(statement)).scalar_one()


async def stream_labelled_pairs(
    session: AsyncSession, source: Source, *, only_without_strength: bool = False
) -> AsyncGenerator[list[LabelledPair], None]:
    """The pairs that have a preference, by prompt and pair, some at a time, from a cursor.

    Served by ``ix_prompts_listing``, then for each prompt its pairs (their unique index) with
    their labels (``ix_labels_pair``) and responses (their key): the server sorts no more than the
    pairs of one prompt. ``only_without_strength``: only pairs with a vote that gives no strength.
    """
    result = await session.stream(
        _labelled_pairs(source, only_without_strength=only_without_strength),
        execution_options={"yield_per": _ROWS_PER_FETCH},
    )
    try:
        async for rows in result.partitions():
            yield [_labelled_pair(row) for row in rows]
    finally:
        await result.close()


def _labelled_pairs(source: Source, *, only_without_strength: bool) -> Select[Any]:
    first, second = aliased(Response), aliased(Response)
    answers = (
        select(
            func.array_agg(aggregate_order_by(Label.preferred_response_id, Label.id)).label(
                "preferred"
            ),
            func.array_agg(aggregate_order_by(Label.strength, Label.id)).label("strengths"),
        )
        .where(Label.pair_id == Pair.id, _taken(source), Label.choice != "skip")
        .having(_wanted(only_without_strength=only_without_strength))
        .lateral("answers")
    )
    return (
        select(
            Prompt.id.label("prompt_id"),
            Prompt.external_id,
            Prompt.content,
            Prompt.group_id,
            first.id.label("first_id"),
            first.external_id.label("first_external_id"),
            first.text.label("first_text"),
            second.id.label("second_id"),
            second.external_id.label("second_external_id"),
            second.text.label("second_text"),
            answers.c.preferred,
            answers.c.strengths,
            Pair.similarity,
            Pair.arm,
            Pair.strategy,
            Pair.propensity,
        )
        .join(Pair, Pair.prompt_id == Prompt.id)
        .join(answers, true())
        .join(first, first.id == Pair.first_response_id)
        .join(second, second.id == Pair.second_response_id)
        .where(Prompt.project_id == source.project_id, Prompt.group_id.is_not(None))
        .order_by(Prompt.id, Pair.id)
    )


def _taken(source: Source) -> ColumnElement[bool]:
    return Label.status.in_(["counted", "surplus"] if source.surplus else ["counted"])


def _wanted(*, only_without_strength: bool) -> ColumnElement[bool]:
    preferred = Label.preferred_response_id.is_not(None)
    if only_without_strength:
        return func.bool_or(preferred & Label.strength.is_(None))
    return func.bool_or(preferred)


def _labelled_pair(row: Row[Any]) -> LabelledPair:
    return LabelledPair(
        prompt_id=row.prompt_id,
        prompt_external_id=row.external_id,
        prompt=row.content,
        group_id=row.group_id,
        first=Candidate(row.first_id, row.first_external_id, row.first_text),
        second=Candidate(row.second_id, row.second_external_id, row.second_text),
        answers=_answers(row.preferred, row.strengths),
        similarity=row.similarity,
        arm=row.arm,
        strategy=row.strategy,
        propensity=row.propensity,
    )


def _answers(
    preferred: Sequence[int | None], strengths: Sequence[int | None]
) -> tuple[Answer, ...]:
    return tuple(Answer(*answer) for answer in zip(preferred, strengths, strict=True))
