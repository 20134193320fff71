"""The SQL of assignments: find, lapse and hold them, and the pairs that they are of."""

from collections.abc import Sequence

from sqlalchemy import func, select, text, update
from sqlalchemy.dialects.postgresql import insert
from sqlalchemy.ext.asyncio import AsyncSession

from app.storage import predicates
from app.storage.tables import Assignment, Pair, Project


async def find_assignment(session: AsyncSession, assignment_id: int) -> Assignment | None:
    """Any annotator's assignment."""
    return await session.get(Assignment, assignment_id, populate_existing=True)


async def lapse_expired(
    session: AsyncSession, project_id: int, *, except_ids: Sequence[int]
) -> list[Assignment]:
    """Mark the held assignments whose lease is over as lapsed; gives them, by number.

    Served by ``ix_assignments_lease``.
    """
    lapsed = await session.scalars(
        update(Assignment)
        .where(
            Assignment.project_id == project_id,
            text(predicates.EXPIRED_ASSIGNMENT),
            Assignment.id.not_in(except_ids),
        )
        .values(status="lapsed")
        .returning(Assignment)
        .execution_options(populate_existing=True, synchronize_session=False)
    )
    return sorted(lapsed, key=lambda assignment: assignment.id)


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


async def pairs_by_id(session: AsyncSession, pair_ids: Sequence[int]) -> dict[int, Pair]:
    """Pairs as they are now; the project's row lock keeps them so."""
    pairs = await session.scalars(
        select(Pair).where(Pair.id.in_(pair_ids)).execution_options(populate_existing=True)
    )
    return {pair.id: pair for pair in pairs}


async def own_assignment(
    session: AsyncSession, project: Project, pair_id: int, annotator_id: int
) -> Assignment:
    """An annotator's assignment of a pair; if there was none, one that is not held.

    Its first response is then the left one. Served by the unique index on the two.
    """
    await session.execute(
        insert(Assignment)
        .values(
            project_id=project.id,
            pair_id=pair_id,
            annotator_id=annotator_id,
            swapped=False,
            status="released",
            lease_seconds=project.lease_seconds,
            expires_at=func.clock_timestamp(),
            reserved=0,
        )
        .on_conflict_do_nothing(index_elements=["pair_id", "annotator_id"])
    )
    found = await session.scalars(
        select(Assignment)
        .where(Assignment.pair_id == pair_id, Assignment.annotator_id == annotator_id)
        .execution_options(populate_existing=True)
    )
    return found.one()
