"""All SQL of the exports, but for what rewards are fitted to."""

import asyncio
from array import array
from collections.abc import AsyncGenerator, Sequence
from dataclasses import dataclass
from typing import Any, Final

import numpy as np
from sqlalchemy import (
    ColumnElement,
    Row,
    Select,
    case,
    func,
    literal,
    null,
    select,
    text,
    true,
    type_coerce,
)
from sqlalchemy.dialects.postgresql import aggregate_order_by
from sqlalchemy.ext.asyncio import AsyncSession
from sqlalchemy.orm import InstrumentedAttribute, aliased
from sqlalchemy.types import NullType

from app.exports.aggregate import Answer
from app.exports.pairs import Candidate, LabelledPair
from app.exports.recipe import Need
from app.exports.votes import Votes
from app.storage.tables import Label, Pair, Project, Prompt, Response

_ROWS_PER_FETCH: Final = 200
_VOTES_PER_FETCH: Final = 10_000
_NO_VOTES: Final = ("skip", "both_bad")


@dataclass(frozen=True, slots=True)
class Source:
    """The labels that an export takes: a project's, with or without the surplus."""

    project_id: int
    surplus: bool
    needs: frozenset[Need] = frozenset()

    @property
    def statuses(self) -> tuple[str, ...]:
        """What the labels that are taken may be."""
        return ("counted", "surplus") if self.surplus else ("counted",)


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


async def read_project(session: AsyncSession, project_id: int) -> Project:
    """The project's settings as the snapshot has them."""
    return (await session.execute(select(Project).where(Project.id == project_id))).scalar_one()


async def has_reference(session: AsyncSession, project_id: int) -> bool:
    """Whether some prompt has a reference response. Reads until it finds one."""
    return await _exists(
        session,
        select(literal(1))
        .select_from(Response)
        .join(Prompt, Prompt.id == Response.prompt_id)
        .where(Prompt.project_id == project_id, Response.reference),
    )


async def has_metadata(session: AsyncSession, project_id: int, keys: Sequence[str]) -> bool:
    """Whether some response's metadata has all of the keys. Reads until it finds one."""
    return await _exists(
        session,
        select(literal(1))
        .select_from(Response)
        .join(Prompt, Prompt.id == Response.prompt_id)
        .where(
            Prompt.project_id == project_id,
            *(Response.response_metadata.has_key(key) for key in keys),
        ),
    )


async def has_edit(session: AsyncSession, source: Source) -> bool:
    """Whether some label that is taken has an edited text. Reads until it finds one."""
    return await _exists(
        session,
        select(literal(1)).where(
            Label.project_id == source.project_id, _taken(source), Label.edited.is_not(None)
        ),
    )


async def has_preference(session: AsyncSession, source: Source) -> bool:
    """Whether some label that is taken prefers a response. Reads until it finds one."""
    return await _exists(
        session,
        select(literal(1)).where(
            Label.project_id == source.project_id,
            _taken(source),
            Label.preferred_response_id.is_not(None),
        ),
    )


async def _exists(session: AsyncSession, statement: Select[Any]) -> bool:
    return bool((await session.execute(select(statement.exists()))).scalar_one())


async def load_votes(session: AsyncSession, source: Source) -> Votes:
    """The labels of prompts in the plan as numbers, by label; skips and both-bad are no votes.

    Served by ``ix_labels_listing``.
    """
    side = case(
        (Label.preferred_response_id.is_(None), 0),
        (Label.preferred_response_id == Pair.first_response_id, 1),
        else_=-1,
    )
    statement = (
        select(Label.pair_id, side, Label.annotator)
        .join(Pair, Pair.id == Label.pair_id)
        .join(Prompt, Prompt.id == Label.prompt_id)
        .where(
            Label.project_id == source.project_id,
            _taken(source),
            Label.choice.not_in(_NO_VOTES),
            Prompt.group_id.is_not(None),
        )
        .order_by(Label.id)
    )
    columns = [array("q") for _ in range(3)]
    annotators: dict[str, int] = {}
    result = await session.stream(statement, execution_options={"yield_per": _VOTES_PER_FETCH})
    async for rows in result.partitions():
        pairs, sides, names = zip(*rows, strict=True)
        numbers = [annotators.setdefault(name, len(annotators)) for name in names]
        for column, values in zip(columns, (pairs, sides, numbers), strict=True):
            column.extend(values)
    pair_ids, side_of, annotator = (np.array(column, dtype=np.int64) for column in columns)
    return Votes(pair_ids=pair_ids, side=side_of, annotator=annotator)


async def stream_labelled_pairs(
    session: AsyncSession, source: Source
) -> AsyncGenerator[list[LabelledPair], None]:
    """The pairs that have labels, by prompt and pair, some at a time, from a cursor.

    Served by ``ix_prompts_listing``, then for each prompt its pairs (their unique index) with
    their labels (``ix_labels_pair``) and responses (their key): the server sorts no more than the
    pairs of one prompt.
    """
    # The connection's own rows: the session would look through each for objects of its own.
    connection = await session.connection()
    result = await connection.stream(
        select_labelled_pairs(source), execution_options={"yield_per": _ROWS_PER_FETCH}
    )
    following = asyncio.ensure_future(result.fetchmany())
    try:
        while rows := await following:
            # The server finds the next while these are worked on.
            following = asyncio.ensure_future(result.fetchmany())
            yield [_labelled_pair(row) for row in rows]
    finally:
        # A fetch that was cancelled would leave the connection in the middle of it.
        await asyncio.gather(following, return_exceptions=True)
        await result.close()


async def labelled_pairs_of(
    session: AsyncSession, source: Source, prompt_ids: Sequence[int]
) -> list[LabelledPair]:
    """The pairs of these prompts that have labels, by prompt and pair. Served by their keys."""
    rows = await session.execute(select_labelled_pairs(source).where(Prompt.id.in_(prompt_ids)))
    return [_labelled_pair(row) for row in rows]


def select_labelled_pairs(source: Source) -> Select[Any]:
    """One row a pair that has labels, with all that an export reads of it."""
    first, second = aliased(Response), aliased(Response)
    with_edits = Need.EDITS in source.needs
    with_metadata = Need.LOG_PROBABILITIES in source.needs
    answers = (
        select(
            _array(Label.preferred_response_id).label("preferred"),
            _array(Label.strength).label("strengths"),
            func.count().filter(Label.choice == "both_bad").label("both_bad"),
            (_array(Label.edited) if with_edits else null()).label("edits"),
        )
        .where(Label.pair_id == Pair.id, _taken(source), Label.choice != "skip")
        .having(func.count() > 0)
        .lateral("answers")
    )
    return (
        select(
            Prompt.id,
            Prompt.external_id,
            Prompt.content,
            Prompt.group_id,
            Pair.id,
            first.id,
            first.external_id,
            first.text,
            first.response_metadata if with_metadata else null(),
            second.id,
            second.external_id,
            second.text,
            second.response_metadata if with_metadata else null(),
            answers.c.preferred,
            answers.c.strengths,
            answers.c.both_bad,
            answers.c.edits,
            Pair.similarity,
            Pair.arm,
            Pair.strategy,
            Pair.propensity,
            _reference() if Need.REFERENCE in source.needs else null(),
        )
        .join(Pair, Pair.prompt_id == Prompt.id)
        .join(answers, true())
        .join(first, first.id == Pair.first_response_id)
        .join(second, second.id == Pair.second_response_id)
        .where(Prompt.project_id == source.project_id, Prompt.group_id.is_not(None))
        .order_by(Prompt.id, Pair.id)
    )


def _array(column: InstrumentedAttribute[Any]) -> ColumnElement[Any]:
    """A value for each label, in the labels' order; the driver's lists, taken as they are."""
    return type_coerce(func.array_agg(aggregate_order_by(column, Label.id)), NullType())


def _reference() -> ColumnElement[str | None]:
    response = aliased(Response)
    return (
        select(response.text)
        .where(response.prompt_id == Prompt.id, response.reference)
        .limit(1)
        .scalar_subquery()
    )


def _taken(source: Source) -> ColumnElement[bool]:
    return Label.status.in_(source.statuses)


def _labelled_pair(row: Row[Any]) -> LabelledPair:
    (
        prompt_id, prompt_external_id, prompt, group_id, pair_id,
        first_id, first_external_id, first_text, first_metadata,
        second_id, second_external_id, second_text, second_metadata,
        preferred, strengths, both_bad, edits,
        similarity, arm, strategy, propensity, reference,
    ) = tuple(row)  # fmt: skip
    return LabelledPair(
        prompt_id,
        prompt_external_id,
        prompt,
        group_id,
        pair_id,
        Candidate(first_id, first_external_id, first_text, first_metadata),
        Candidate(second_id, second_external_id, second_text, second_metadata),
        tuple(map(Answer, preferred, strengths)),
        both_bad,
        similarity,
        arm,
        strategy,
        propensity,
        tuple(edits or ()),
        reference,
    )
