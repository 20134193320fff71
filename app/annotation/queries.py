"""All SQL of the annotation room, the claim's own apart (``claim.py``)."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Final

from sqlalchemy import ColumnElement, and_, bindparam, func, select, text, update
from sqlalchemy.ext.asyncio import AsyncSession
from sqlalchemy.orm import aliased

from app.accounts.service import Principal
from app.storage.tables import Assignment, Label, Pair, Project, Prompt, Response


@dataclass(frozen=True, slots=True)
class HeldPair:
    """A held assignment with all that its annotator is shown."""

    assignment: Assignment
    pair: Pair
    content: Any
    first_text: str
    second_text: str


@dataclass(frozen=True, slots=True)
class Outlook:
    """Why there may be nothing to hand out now, and whether there will be."""

    more_to_plan: bool
    open_for_annotator: bool
    seconds_to_next_lapse: float | None
    """Until the next pair that somebody else holds, and this annotator could get, is free."""


@dataclass(frozen=True, slots=True)
class AnsweredAssignment:
    """An assignment, its pair, and the label that answers it, if one does."""

    assignment: Assignment
    pair: Pair
    label: Label | None


@dataclass(frozen=True, slots=True)
class Standing:
    """Where an annotator and a project stand before a claim."""

    held: int
    is_any_expired: bool
    pending_prompts: int
    unplanned_prompts: int
    is_active: bool


# Served by ix_assignments_held and ix_assignments_lease. The time comes from a subquery, which is
# asked once: then the index can search for it, and not only filter by it. The annotator's row is
# locked, so that whoever is deactivated from here on loses what this claim hands out, too.
_STANDING = text(
    """
    SELECT
        (
            SELECT count(*) FROM assignments
            WHERE annotator_id = :annotator_id AND project_id = :project_id AND status = 'held'
        ),
        EXISTS (
            SELECT FROM assignments
            WHERE project_id = :project_id AND status = 'held'
                AND expires_at < (SELECT clock_timestamp())
        ),
        pending, unplanned, annotators.active
    FROM project_intake, annotators
    WHERE project_id = :project_id AND annotators.id = :annotator_id
    FOR KEY SHARE OF annotators
    """
)


async def standing(session: AsyncSession, project_id: int, annotator_id: int) -> Standing:
    """What an annotator holds, whether any lease is over, and what is still to arrive."""
    parameters = {"project_id": project_id, "annotator_id": annotator_id}
    return Standing(*(await session.execute(_STANDING, parameters)).one())


def _expired(project_id: int) -> ColumnElement[bool]:
    # Served by ix_assignments_lease, as above.
    return and_(
        Assignment.project_id == project_id,
        Assignment.status == "held",
        Assignment.expires_at < select(func.clock_timestamp()).scalar_subquery(),
    )


async def lapse_expired(
    session: AsyncSession, project_id: int, *, but: Sequence[int]
) -> list[Assignment]:
    """Let the held assignments whose lease is over lapse, ``but`` these."""
    lapsed = await session.scalars(
        update(Assignment)
        .where(_expired(project_id), Assignment.id.not_in(but))
        .values(status="lapsed")
        .returning(Assignment)
        .execution_options(populate_existing=True, synchronize_session=False)
    )
    return sorted(lapsed, key=lambda assignment: assignment.id)


async def pairs_by_id(session: AsyncSession, pair_ids: Sequence[int]) -> dict[int, Pair]:
    """Pairs as they are now; the project's row lock keeps them so."""
    pairs = await session.scalars(
        select(Pair).where(Pair.id.in_(pair_ids)).execution_options(populate_existing=True)
    )
    return {pair.id: pair for pair in pairs}


async def oldest_surplus_label(session: AsyncSession, pair_id: int) -> Label | None:
    """The first surplus label of a pair. Served by ``ix_labels_surplus``."""
    return await session.scalar(
        select(Label)
        .where(Label.pair_id == pair_id, Label.status == "surplus")
        .order_by(Label.id)
        .limit(1)
    )


_FIRST, _SECOND = aliased(Response), aliased(Response)
# Served by ix_assignments_held; built once, for the claim.
_HELD_PAIRS = (
    select(Assignment, Pair, Prompt.content, _FIRST.text, _SECOND.text)
    .join(Pair, Pair.id == Assignment.pair_id)
    .join(Prompt, Prompt.id == Pair.prompt_id)
    .join(_FIRST, _FIRST.id == Pair.first_response_id)
    .join(_SECOND, _SECOND.id == Pair.second_response_id)
    .where(
        Assignment.annotator_id == bindparam("annotator_id"),
        Assignment.project_id == bindparam("project_id"),
        Assignment.status == "held",
    )
    .order_by(Assignment.id)
    .limit(bindparam("limit"))
    .execution_options(populate_existing=True)
)


async def held_pairs(
    session: AsyncSession, project_id: int, annotator_id: int, *, limit: int
) -> list[HeldPair]:
    """What an annotator holds, in the order in which it was first handed out."""
    parameters = {"project_id": project_id, "annotator_id": annotator_id, "limit": limit}
    return [HeldPair(*row) for row in await session.execute(_HELD_PAIRS, parameters)]


NOT_TAKEN_BY_ANNOTATOR: Final = """
    NOT EXISTS (
        SELECT FROM assignments AS own
        WHERE own.pair_id = pairs.id AND own.annotator_id = :annotator_id
            AND own.status IN ('held', 'answered')
    )
    AND NOT EXISTS (
        SELECT FROM labels AS judged
        WHERE judged.pair_id = pairs.id AND judged.annotator = :annotator
            AND judged.status <> 'withdrawn'
    )
"""
"""Pairs that the annotator neither holds nor has judged, here or elsewhere.

Served by the unique indexes on pair and annotator of assignments and of live labels.
"""

# The order is the indexes': with EXISTS, Postgres may prefer to read a whole table for the one row.
_OUTLOOK = text(
    f"""
    SELECT
        (
            SELECT true FROM prompts
            WHERE project_id = :project_id AND status = 'ready' AND group_id IS NOT NULL
                AND pairs_planned < pairs_total AND pairs_planned < :pairs_per_prompt
            ORDER BY exploration, pairs_planned, near_duplicate, order_key, id LIMIT 1
        ) IS NOT NULL,
        (
            SELECT true FROM pairs
            WHERE project_id = :project_id AND open AND {NOT_TAKEN_BY_ANNOTATOR}
            ORDER BY arm, position, id LIMIT 1
        ) IS NOT NULL,
        (
            SELECT extract(epoch FROM held.expires_at - clock_timestamp())::float8
            FROM assignments AS held JOIN pairs ON pairs.id = held.pair_id
            WHERE held.project_id = :project_id AND held.status = 'held'
                AND {NOT_TAKEN_BY_ANNOTATOR}
            ORDER BY held.expires_at LIMIT 1
        )
    """  # noqa: S608 - put together from constants
)
_ANY_NUMBER = 2**31 - 1


async def outlook(session: AsyncSession, project: Project, principal: Principal) -> Outlook:
    """What an annotator for whom there is nothing now may hope for.

    Served by ``ix_prompts_plannable``, ``ix_pairs_open`` and ``ix_assignments_lease``.
    """
    parameters = {
        "project_id": project.id,
        "pairs_per_prompt": project.pairs_per_prompt or _ANY_NUMBER,
        "annotator_id": principal.id,
        "annotator": principal.name,
    }
    return Outlook(*(await session.execute(_OUTLOOK, parameters)).one())


async def find_assignment(session: AsyncSession, assignment_id: int) -> Assignment | None:
    """An assignment, whoever's it is."""
    return await session.get(Assignment, assignment_id, populate_existing=True)


_OWN_PROJECTS = select(Assignment.id, Assignment.project_id).where(
    Assignment.id.in_(bindparam("assignment_ids", expanding=True)),
    Assignment.annotator_id == bindparam("annotator_id"),
)
# Served by the primary keys and uq_labels_live; built once, for the labels.
_ANSWERED = (
    select(Assignment, Pair, Label)
    .join(Pair, Pair.id == Assignment.pair_id)
    .outerjoin(
        Label,
        and_(
            Label.pair_id == Assignment.pair_id,
            Label.annotator == bindparam("annotator"),
            Label.status != "withdrawn",
        ),
    )
    .where(Assignment.id.in_(bindparam("assignment_ids", expanding=True)))
    .execution_options(populate_existing=True)
)


async def find_own_projects(
    session: AsyncSession, assignment_ids: Sequence[int], annotator_id: int
) -> dict[int, int]:
    """The projects of an annotator's assignments; those of others are left out."""
    parameters = {"assignment_ids": assignment_ids, "annotator_id": annotator_id}
    return dict((await session.execute(_OWN_PROJECTS, parameters)).all())


async def answered_assignments(
    session: AsyncSession, assignment_ids: Sequence[int], annotator: str
) -> dict[int, AnsweredAssignment]:
    """An annotator's assignments, their pairs and its live labels, under the project's lock."""
    parameters = {"assignment_ids": assignment_ids, "annotator": annotator}
    rows = await session.execute(_ANSWERED, parameters)
    return {row[0].id: AnsweredAssignment(*row) for row in rows}


# Each answer is another pair's: a pair has one assignment an annotator.
_WRITE_ANSWERS = text(
    """
    WITH answer AS (
        SELECT * FROM unnest(
            CAST(:prompt_id AS bigint[]), CAST(:pair_id AS bigint[]),
            CAST(:assignment_id AS bigint[]), CAST(:annotator AS text[]),
            CAST(:choice AS text[]), CAST(:preferred_response_id AS bigint[]),
            CAST(:rejected_response_id AS bigint[]), CAST(:strength AS smallint[]),
            CAST(:seconds AS float8[]), CAST(:rationale AS text[]), CAST(:edited AS text[]),
            CAST(:status AS text[]), CAST(:cost AS numeric[])
        ) WITH ORDINALITY AS answer (
            prompt_id, pair_id, assignment_id, annotator, choice, preferred_response_id,
            rejected_response_id, strength, seconds, rationale, edited, status, cost, place
        )
    ), judged AS (
        UPDATE pairs
        SET held = pairs.held - (assignments.status = 'held')::int,
            counted = pairs.counted + (answer.status = 'counted')::int,
            skips = pairs.skips + (answer.status = 'skipped')::int
        FROM answer JOIN assignments ON assignments.id = answer.assignment_id
        WHERE pairs.id = answer.pair_id
    ), settled AS (
        UPDATE assignments SET status = 'answered'
        FROM answer WHERE assignments.id = answer.assignment_id
    ), totals AS (
        UPDATE projects
        SET counted_labels = counted_labels + counted, surplus_labels = surplus_labels + surplus
        FROM (
            SELECT count(*) FILTER (WHERE status = 'counted') AS counted,
                count(*) FILTER (WHERE status = 'surplus') AS surplus
            FROM answer
        ) AS new
        WHERE projects.id = :project_id
    )
    INSERT INTO labels (
        project_id, prompt_id, pair_id, assignment_id, annotator, choice, preferred_response_id,
        rejected_response_id, strength, seconds, rationale, edited, status, cost
    )
    SELECT
        :project_id, prompt_id, pair_id, assignment_id, annotator, choice, preferred_response_id,
        rejected_response_id, strength, seconds, rationale, edited, status, cost
    FROM answer
    ORDER BY place
    RETURNING id, assignment_id
    """
)
_ANSWER_COLUMNS = (
    "prompt_id",
    "pair_id",
    "assignment_id",
    "annotator",
    "choice",
    "preferred_response_id",
    "rejected_response_id",
    "strength",
    "seconds",
    "rationale",
    "edited",
    "status",
    "cost",
)


async def write_answers(session: AsyncSession, project_id: int, answers: Sequence[Label]) -> None:
    """Write the labels of held or lapsed assignments, and all that follows but the ledger.

    One statement; the labels get their numbers.
    """
    columns = {name: [getattr(label, name) for label in answers] for name in _ANSWER_COLUMNS}
    rows = await session.execute(_WRITE_ANSWERS, {"project_id": project_id, **columns})
    numbers = {assignment_id: label_id for label_id, assignment_id in rows}
    for label in answers:
        assert label.assignment_id is not None
        label.id = numbers[label.assignment_id]


async def find_label(session: AsyncSession, label_id: int) -> Label | None:
    """A label, whoever's it is."""
    return await session.get(Label, label_id, populate_existing=True)


async def labels_by_id(session: AsyncSession, label_ids: Sequence[int]) -> dict[int, Label]:
    """Labels by number."""
    labels = await session.scalars(select(Label).where(Label.id.in_(label_ids)))
    return {label.id: label for label in labels}


async def list_labels(
    session: AsyncSession, project_id: int, annotator: str | None, *, after_id: int, limit: int
) -> list[Label]:
    """A page of labels by number. Served by ``ix_labels_listing`` or ``ix_labels_annotator``."""
    statement = (
        select(Label)
        .where(Label.project_id == project_id, Label.id > after_id)
        .order_by(Label.id)
        .limit(limit)
    )
    if annotator is not None:
        statement = statement.where(Label.annotator == annotator)
    return list(await session.scalars(statement))


async def mark_withdrawn(session: AsyncSession, label_id: int) -> None:
    """Make a label history, at the database's time."""
    await session.execute(
        update(Label)
        .where(Label.id == label_id)
        .values(status="withdrawn", withdrawn_at=func.clock_timestamp())
    )


async def hold_from_now(session: AsyncSession, assignment_id: int, seconds: int) -> None:
    """Hold an assignment from now on, by the database's clock."""
    await session.execute(
        update(Assignment)
        .where(Assignment.id == assignment_id)
        .values(
            status="held",
            lease_seconds=seconds,
            expires_at=func.clock_timestamp() + func.make_interval(0, 0, 0, 0, 0, 0, seconds),
        )
    )
