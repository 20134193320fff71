"""Withdraw a label: refund the ledger, and open the pair again."""

from sqlalchemy.ext.asyncio import AsyncSession

from app.accounts.service import Principal
from app.annotation import ledger
from app.annotation.queries import assignments, labels
from app.annotation.queries.disputes import refresh_disputes
from app.annotation.queries.ledger import Change
from app.annotation.release import has_room, lapse_expired, promote_surplus
from app.annotation.service import get_label
from app.projects import service as projects
from app.storage.notifications import Channel, notify
from app.storage.tables import Assignment, Label, Pair, Project


async def withdraw_label(session: AsyncSession, principal: Principal, label_id: int | None) -> None:
    """Withdraw a label; it stays as history. Withdrawing it again changes nothing.

    Annotators who undo their own label hold the pair again, if its cost still fits.

    Raises:
        UnknownLabel: no label has that id, or it is somebody else's.
    """
    found = await get_label(session, principal, label_id)
    project = await projects.lock_project(session, found.project_id)
    # What expired assignments take up may be the room that holding the pair again needs.
    await lapse_expired(session, project)
    label = await labels.find_label(session, found.id)
    if label is None or label.status == "withdrawn":
        return
    pair = (await assignments.pairs_by_id(session, [label.pair_id]))[label.pair_id]
    await withdraw_locked(session, principal, project, pair, label)
    if project.surplus_labels:
        await promote_surplus(session, project, pair)
    await notify(session, Channel.PLAN_CHANGED, str(project.id))


async def withdraw_locked(
    session: AsyncSession, principal: Principal, project: Project, pair: Pair, label: Label
) -> None:
    """Withdraw a label that stands; what may take the room it leaves is for the caller to say.

    The project's row is locked.
    """
    await _take_back(session, project, pair, label)
    await labels.mark_withdrawn(session, label.id, by=principal.id)
    if label.assignment_id is not None:
        assignment = await assignments.find_assignment(session, label.assignment_id)
        assert assignment is not None
        is_own = assignment.annotator_id == principal.id
        await _reopen(session, project, pair, assignment, is_own=is_own)
    await refresh_disputes(session, [pair.id])


async def _take_back(session: AsyncSession, project: Project, pair: Pair, label: Label) -> None:
    if label.status == "surplus":
        project.surplus_labels -= 1
    elif label.status == "skipped":
        pair.skips -= 1
    elif label.status == "counted":
        project.counted_labels -= 1
        if label.assignment_id is None:
            pair.imported -= 1
        else:
            pair.counted -= 1
    await ledger.record(
        session,
        project,
        [Change("refund", spent=-label.cost, assignment_id=label.assignment_id, label_id=label.id)],
    )


async def _reopen(
    session: AsyncSession, project: Project, pair: Pair, assignment: Assignment, *, is_own: bool
) -> None:
    cost = ledger.expected_cost(project, pair.expected_seconds)
    if not (is_own and has_room(pair) and ledger.fits(project, cost)):
        assignment.status = "released"
        return
    pair.held += 1
    assignment.reserved = cost
    await assignments.hold_from_now(session, assignment.id, project.lease_seconds)
    change = Change("reserve", reserved=cost, assignment_id=assignment.id)
    await ledger.record(session, project, [change])
