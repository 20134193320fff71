"""The SQL of the annotation room; the claim's own is with it, the answers' in a file of its own."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from decimal import Decimal
from typing import Any, Final

from sqlalchemy import ColumnElement, and_, func, select, text, update
from sqlalchemy.ext.asyncio import AsyncSession

from app.accounts.service import Principal
from app.storage.tables import Assignment, Label, Pair, Project


@dataclass(frozen=True, slots=True)
class HeldPair:
    """A held assignment with all that its annotator is shown."""

    assignment_id: int
    swapped: bool
    expires_at: datetime
    reserved: Decimal
    pair_id: int
    prompt_id: int
    first_response_id: int
    second_response_id: int
    similarity: float | None
    arm: str
    strategy: str
    propensity: float | None
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
class Standing:
    """Where an annotator and a project stand before a claim."""

    held: int
    is_any_expired: bool
    pending_prompts: int
    unplanned_prompts: int
    is_active: bool


STANDING: Final = """
    SELECT
        (
            SELECT count(*) FROM assignments
            WHERE annotator_id = :annotator_id AND project_id = :project_id AND status = 'held'
        ) AS held,
        EXISTS (
            SELECT FROM assignments
            WHERE project_id = :project_id AND status = 'held'
                AND expires_at < (SELECT clock_timestamp())
        ) AS is_any_expired,
        pending, unplanned, annotators.active
    FROM project_intake, annotators
    WHERE project_id = :project_id AND annotators.id = :annotator_id
    FOR KEY SHARE OF annotators
"""
"""What an annotator holds, whether any lease is over, and what is still to arrive.

Served by ix_assignments_held and ix_assignments_lease. The time comes from a subquery, which is
asked once: then the index can search for it, and not only filter by it. The annotator's row is
locked, so that whoever is deactivated from here on loses what this claim hands out, too.
"""


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


HELD_PAIR: Final = """
    assignments.id AS assignment_id, swapped, expires_at, assignments.reserved,
    pairs.id AS pair_id, pairs.prompt_id,
    first_response_id, second_response_id, similarity, arm, strategy, propensity, content,
    first.text, second.text
    FROM assignments
    JOIN pairs ON pairs.id = assignments.pair_id
    JOIN prompts ON prompts.id = pairs.prompt_id
    JOIN responses AS first ON first.id = first_response_id
    JOIN responses AS second ON second.id = second_response_id
"""
"""The fields of a ``HeldPair``, and where they are from."""

_HELD_PAIRS = text(
    f"""
    SELECT {HELD_PAIR}
    WHERE annotator_id = :annotator_id AND assignments.project_id = :project_id
        AND assignments.status = 'held'
    ORDER BY assignments.id
    LIMIT :limit
    """
)


async def held_pairs(
    session: AsyncSession, project_id: int, annotator_id: int, *, limit: int
) -> list[HeldPair]:
    """What an annotator holds, in the order in which it was first handed out.

    Served by ``ix_assignments_held``.
    """
    parameters = {"project_id": project_id, "annotator_id": annotator_id, "limit": limit}
    return [HeldPair(*row) for row in await session.execute(_HELD_PAIRS, parameters)]


NOT_TAKEN_BY_ANNOTATOR: Final = """
    NOT EXISTS (
        SELECT FROM assignments AS own
        WHERE own.pair_id = pairs.id AND own.annotator_id = :annotator_id
            AND own.status IN ('held', 'answered')
        OFFSET 0
    )
    AND NOT EXISTS (
        SELECT FROM labels AS judged
        WHERE judged.pair_id = pairs.id AND judged.annotator = :annotator
            AND judged.status <> 'withdrawn'
        OFFSET 0
    )
"""
"""Pairs that the annotator neither holds nor has judged, here or elsewhere.

Served by the unique indexes on pair and annotator of assignments and of live labels. ``OFFSET 0``
has Postgres look into them pair by pair: joined, whole indexes might be read for it.
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
