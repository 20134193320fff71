"""Free assignments: those whose lease is over, and those that an annotator gives back.

If a pair with surplus labels has room again, the oldest of them counts: no human work is lost.
"""

from collections.abc import Sequence

from sqlalchemy.ext.asyncio import AsyncSession

from app.annotation import ledger
from app.annotation.queries import assignments, labels
from app.annotation.queries.ledger import Change
from app.settings import SKIPS_UNTIL_RETIRED
from app.storage.tables import Assignment, Pair, Project


def has_room(pair: Pair) -> bool:
    """Whether one more label of the pair would count: ``predicates.HAS_ROOM`` in Python."""
    return (
        pair.held + pair.counted + pair.imported < pair.labels_wanted
        and pair.skips < SKIPS_UNTIL_RETIRED
    )


async def lapse_expired(
    session: AsyncSession, project: Project, *, except_ids: Sequence[int] = ()
) -> None:
    """Free what absent annotators hold, except these assignments. ``project`` is locked."""
    lapsed = await assignments.lapse_expired(session, project.id, except_ids=except_ids)
    if lapsed:
        await _free(session, project, lapsed)


async def release(session: AsyncSession, project: Project, assignment: Assignment) -> None:
    """Free a held assignment; ``project`` is locked."""
    assignment.status = "released"
    await _free(session, project, [assignment])


async def _free(session: AsyncSession, project: Project, freed: Sequence[Assignment]) -> None:
    pairs = await assignments.pairs_by_id(session, [assignment.pair_id for assignment in freed])
    for assignment in freed:
        pairs[assignment.pair_id].held -= 1
    releases = [
        Change("release", reserved=-assignment.reserved, assignment_id=assignment.id)
        for assignment in freed
    ]
    await ledger.record(session, project, releases)
    if project.surplus_labels:
        for assignment in freed:
            await promote_surplus(session, project, pairs[assignment.pair_id])


async def promote_surplus(session: AsyncSession, project: Project, pair: Pair) -> None:
    """Count the pair's oldest surplus label, if pair and budget have room for it."""
    label = await labels.oldest_surplus_label(session, pair.id) if has_room(pair) else None
    if label is None:
        return
    cost = ledger.cost_of_label(
        project,
        seconds=label.seconds,
        expected_seconds=pair.expected_seconds,
        lease_seconds=project.lease_seconds,
    )
    if not ledger.fits(project, cost):
        return
    label.status, label.cost = "counted", cost
    pair.counted += 1
    project.surplus_labels -= 1
    project.counted_labels += 1
    change = Change("settle", spent=cost, assignment_id=label.assignment_id, label_id=label.id)
    await ledger.record(session, project, [change])
