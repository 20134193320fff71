"""What is done to assignments, labels and projects besides claiming, labelling and undoing."""

from sqlalchemy.ext.asyncio import AsyncSession

from app.accounts.service import Principal
from app.annotation.queries import assignments, labels
from app.annotation.release import lapse_expired, release
from app.errors import AssignmentAnswered, UnknownAssignment, UnknownLabel
from app.projects import service as projects
from app.projects.schemas import ProjectChange
from app.projects.views import ProjectRow
from app.storage.notifications import Channel, notify
from app.storage.tables import Label


async def give_back(session: AsyncSession, principal: Principal, number: int | None) -> None:
    """Release a held pair; releasing it again, or after it lapsed, changes nothing.

    Raises:
        UnknownAssignment: no assignment has that id, or it is somebody else's.
        AssignmentAnswered: it has been answered.
    """
    found = await assignments.find_assignment(session, number) if number else None
    if found is None or not (principal.is_admin or found.annotator_id == principal.id):
        raise UnknownAssignment("no assignment of yours has that id")
    project = await projects.lock_project(session, found.project_id)
    assignment = await assignments.find_assignment(session, found.id)
    if assignment is None:
        raise UnknownAssignment("no assignment of yours has that id")
    if assignment.status == "answered":
        raise AssignmentAnswered("it has been answered; undo its label instead")
    if assignment.status == "held":
        await release(session, project, assignment)
        await notify(session, Channel.PLAN_CHANGED, str(project.id))


async def get_label(session: AsyncSession, principal: Principal, number: int | None) -> Label:
    """A label.

    Raises:
        UnknownLabel: no label has that id, or it is somebody else's.
    """
    label = await labels.find_label(session, number) if number else None
    if label is None or not (principal.is_admin or label.annotator == principal.name):
        raise UnknownLabel("no label of yours has that id")
    return label


async def change_project(session: AsyncSession, name: str, change: ProjectChange) -> ProjectRow:
    """Change a project's settings, after expired assignments have lapsed.

    It is here and not in ``projects``, which may not import this room: what expired assignments
    reserve must not stand in the way of a change.

    Raises:
        UnknownProject: no project has that name.
        BudgetBelowSpent, UnitInUse, TooFewLabelsPerPair: what is stored forbids it.
        InvalidInput: an unknown strategy, or a budget in money without an hourly rate.
    """
    project = await projects.find_project(session, name)
    project = await projects.lock_project(session, project.id)
    await lapse_expired(session, project)
    return await projects.change_project(session, project, change)
