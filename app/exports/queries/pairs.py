"""SQL of the labelled pairs, and of what a project has for a recipe."""

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
    exists,
    func,
    null,
    select,
    text,
    true,
    type_coerce,
)
from sqlalchemy.dialects.postgresql import aggregate_order_by
from sqlalchemy.ext.asyncio import AsyncSession
from sqlalchemy.orm import InstrumentedAttribute, aliased
from sqlalchemy.types import BigInteger, NullType

from app.exports.aggregate import Answer
from app.exports.filter import Judges
from app.exports.pairs import Candidate, LabelledPair
from app.exports.recipe import Need
from app.exports.reliability import Votes
from app.storage.predicates import WITHOUT_GROUP
from app.storage.rounds import latest_round
from app.storage.sql import among
from app.storage.tables import Label, Pair, Project, Prompt, Response

_ROWS_PER_FETCH: Final = 200
_VOTES_PER_FETCH: Final = 10_000
_NO_VOTES: Final = ("skip", "both_bad")


@dataclass(frozen=True, slots=True)
class Source:
    """The labels that an export takes: a project's, by people or not, with surplus or not.

    ``rounds``: only those of pairs of these rounds; None takes all, and the empty tuple those of
    the latest round that a prompt of the project has.
    """

    project_id: int
    surplus: bool
    judges: Judges = Judges.PEOPLE
    rounds: tuple[int, ...] | None = None
    needs: frozenset[Need] = frozenset()

    @property
    def needs_edits(self) -> bool:
        """Whether the recipe reads edits, of one response or of either."""
        return not self.needs.isdisjoint({Need.EDITS, Need.ANY_EDITS})

    @property
    def statuses(self) -> tuple[str, ...]:
        """The statuses of the labels that are taken."""
        return self.judges.statuses(surplus=self.surplus)


async def begin_snapshot(session: AsyncSession) -> None:
    """Make everything that follows in this transaction read one state of the database.

    Cursors are planned to return their first row soonest: such plans never sort the whole project.
    """
    await session.execute(text("SET TRANSACTION ISOLATION LEVEL REPEATABLE READ, READ ONLY"))
    await session.execute(text("SET LOCAL cursor_tuple_fraction = 0"))
    await session.execute(text("SET LOCAL jit = off"))


async def count_prompts_without_group(session: AsyncSession, project_id: int) -> int:
    """How many prompts wait for their group. Served by ``ix_prompts_group``."""
    statement = (
        select(func.count())
        .select_from(Prompt)
        .where(Prompt.project_id == project_id, text(WITHOUT_GROUP))
    )
    return (await session.execute(statement)).scalar_one()


async def read_project(session: AsyncSession, project_id: int) -> Project:
    """The project as it is in the snapshot."""
    return (await session.execute(select(Project).where(Project.id == project_id))).scalar_one()


async def has_reference(session: AsyncSession, project_id: int) -> bool:
    """Whether some prompt has a reference response."""
    return await _has_response(session, project_id, Response.reference)


async def has_metadata(session: AsyncSession, project_id: int, keys: Sequence[str]) -> bool:
    """Whether some response has all of the keys in its metadata."""
    conditions = (Response.response_metadata.has_key(key) for key in keys)
    return await _has_response(session, project_id, *conditions)


async def has_edit(session: AsyncSession, source: Source) -> bool:
    """Whether some label that is taken has an edited text that the recipe can use."""
    is_edited: ColumnElement[bool] = Label.edited.is_not(None)
    if Need.ANY_EDITS in source.needs:
        is_edited |= Label.edited_rejected.is_not(None)
    return await _has_label(session, source, is_edited)


async def has_preference(session: AsyncSession, source: Source) -> bool:
    """Whether some label that is taken prefers a response."""
    return await _has_label(session, source, Label.preferred_response_id.is_not(None))


async def _has_response(
    session: AsyncSession,
    project_id: int,
    *which: ColumnElement[bool] | InstrumentedAttribute[bool],
) -> bool:
    """Stops at the first."""
    found = exists().where(Prompt.id == Response.prompt_id, Prompt.project_id == project_id, *which)
    return bool(await session.scalar(select(found)))


async def _has_label(session: AsyncSession, source: Source, which: ColumnElement[bool]) -> bool:
    """Stops at the first."""
    found = exists().where(Label.project_id == source.project_id, _taken(source), which)
    return bool(await session.scalar(select(found)))


async def load_votes(session: AsyncSession, source: Source) -> Votes:
    """The votes of prompts in the plan, ordered by label; skips and both-bad are not votes.

    Served by ``ix_labels_listing``.
    """
    side = case(
        (Label.preferred_response_id.is_(None), 0),
        (Label.preferred_response_id == Pair.first_response_id, 1),
        else_=-1,
    )
    statement = (
        select(Label.pair_id, side.label("side"), Label.annotator)
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
    pair_ids, sides, annotators = array("q"), array("q"), array("q")
    numbers: dict[str, int] = {}
    result = await session.stream(statement, execution_options={"yield_per": _VOTES_PER_FETCH})
    async for rows in result.partitions():  # row by row, each would cost a switch of greenlets
        for row in rows:
            pair_ids.append(row.pair_id)
            sides.append(row.side)
            annotators.append(numbers.setdefault(row.annotator, len(numbers)))
    return Votes(
        pair_ids=np.array(pair_ids, dtype=np.int64),
        side=np.array(sides, dtype=np.int64),
        annotator=np.array(annotators, dtype=np.int64),
    )


async def stream_labelled_pairs(
    session: AsyncSession, source: Source, *, only_with_tools: bool = False
) -> AsyncGenerator[list[LabelledPair], None]:
    """The pairs that have labels, ordered by prompt and pair, in batches from a cursor.

    Served by ``ix_prompts_listing`` or ``ix_prompts_with_tools``, then for each prompt by the
    unique index of its pairs, ``ix_labels_pair`` and the primary key of responses: PostgreSQL never
    sorts more than the pairs of one prompt.
    """
    # Rows of the connection are cheaper: the session would search each for mapped objects.
    connection = await session.connection()
    statement = select_labelled_pairs(source)
    if only_with_tools:
        statement = statement.where(Prompt.with_tools)
    result = await connection.stream(statement, execution_options={"yield_per": _ROWS_PER_FETCH})
    following = asyncio.ensure_future(result.fetchmany())
    try:
        while rows := await following:
            # PostgreSQL reads the next batch while this one is processed.
            following = asyncio.ensure_future(result.fetchmany())
            yield [_labelled_pair(row) for row in rows]
    finally:
        # Cancelling the fetch would leave the connection unusable.
        await asyncio.gather(following, return_exceptions=True)
        await result.close()


async def labelled_pairs_of(
    session: AsyncSession, source: Source, prompt_ids: Sequence[int]
) -> list[LabelledPair]:
    """The pairs of these prompts that have labels, ordered by prompt and pair. Served by keys."""
    which = among(Prompt.id, prompt_ids, BigInteger)
    rows = await session.execute(select_labelled_pairs(source).where(which))
    return [_labelled_pair(row) for row in rows]


def select_labelled_pairs(source: Source) -> Select[Any]:
    """One row a pair that has labels, with everything that an export reads."""
    first, second = aliased(Response), aliased(Response)
    with_edits_of_rejected = Need.ANY_EDITS in source.needs
    with_metadata = Need.LOG_PROBABILITIES in source.needs
    answers = (
        select(
            _array(Label.preferred_response_id).label("preferred"),
            _array(Label.strength).label("strengths"),
            func.count().filter(Label.choice == "both_bad").label("both_bad"),
            (_array(Label.edited) if source.needs_edits else null()).label("edits"),
            (_array(Label.edited_rejected) if with_edits_of_rejected else null()).label(
                "edits_of_rejected"
            ),
        )
        .where(Label.pair_id == Pair.id, _taken(source), Label.choice != "skip")
        .having(func.count() > 0)
        .lateral("answers")
    )
    return (
        select(
            Prompt.id.label("prompt_id"),
            Prompt.external_id.label("prompt_external_id"),
            Prompt.content.label("prompt"),
            Prompt.tools,
            Prompt.with_tools,
            Prompt.group_id,
            Pair.id.label("pair_id"),
            *_response(first, "first", with_metadata=with_metadata),
            *_response(second, "second", with_metadata=with_metadata),
            answers.c.preferred,
            answers.c.strengths,
            answers.c.both_bad,
            answers.c.edits,
            answers.c.edits_of_rejected,
            Pair.similarity,
            Pair.arm,
            Pair.strategy,
            Pair.propensity,
            (_reference(first, second) if Need.REFERENCE in source.needs else null()).label(
                "reference"
            ),
        )
        .join(Pair, Pair.prompt_id == Prompt.id)
        .join(answers, true())
        .join(first, first.id == Pair.first_response_id)
        .join(second, second.id == Pair.second_response_id)
        .where(
            Prompt.project_id == source.project_id,
            Prompt.group_id.is_not(None),
            _of_rounds(source, first, second),
        )
        .order_by(Prompt.id, Pair.id)
    )


def _of_rounds(source: Source, first: Any, second: Any) -> ColumnElement[bool]:
    if source.rounds is None:
        return true()
    its_round = func.least(first.round, second.round)
    if source.rounds:
        return its_round.in_(source.rounds)
    return its_round == latest_round(source.project_id)


def _response(response: Any, prefix: str, *, with_metadata: bool) -> tuple[ColumnElement[Any], ...]:
    """The columns of one of the two responses, ``response`` being an alias of the table."""
    metadata: ColumnElement[Any] = response.response_metadata if with_metadata else null()
    return (
        response.id.label(f"{prefix}_id"),
        response.external_id.label(f"{prefix}_external_id"),
        response.text.label(f"{prefix}_text"),
        response.tool_calls.label(f"{prefix}_calls"),
        metadata.label(f"{prefix}_metadata"),
    )


def _array(column: InstrumentedAttribute[Any]) -> ColumnElement[Any]:
    """One value a label, ordered by label; the driver's lists are used without conversion."""
    return type_coerce(func.array_agg(aggregate_order_by(column, Label.id)), NullType())


def _reference(first: Any, second: Any) -> ColumnElement[str | None]:
    """The reference of the pair's newer round; else the nearest one, an earlier before a later."""
    response = aliased(Response)
    its_round = func.greatest(first.round, second.round)
    return (
        select(response.text)
        .where(response.prompt_id == Prompt.id, response.reference)
        .order_by(response.round > its_round, func.abs(response.round - its_round))
        .limit(1)
        .scalar_subquery()
    )


def _taken(source: Source) -> ColumnElement[bool]:
    return Label.status.in_(source.statuses)


def _labelled_pair(row: Row[Any]) -> LabelledPair:
    return LabelledPair(
        prompt_id=row.prompt_id,
        prompt_external_id=row.prompt_external_id,
        prompt=row.prompt,
        group_id=row.group_id,
        pair_id=row.pair_id,
        first=Candidate(
            row.first_id,
            row.first_external_id,
            row.first_text,
            row.first_metadata,
            row.first_calls,
        ),
        second=Candidate(
            row.second_id,
            row.second_external_id,
            row.second_text,
            row.second_metadata,
            row.second_calls,
        ),
        answers=tuple(map(Answer, row.preferred, row.strengths)),
        both_bad=row.both_bad,
        similarity=row.similarity,
        arm=row.arm,
        strategy=row.strategy,
        propensity=row.propensity,
        edits=tuple(row.edits or ()),
        edits_of_rejected=tuple(row.edits_of_rejected or ()),
        reference=row.reference,
        tools=row.tools,
        with_tools=row.with_tools,
    )
