"""What is done to assignments, labels and projects besides claiming, labelling and undoing."""

from dataclasses import dataclass

from sqlalchemy.ext.asyncio import AsyncSession

from app.accounts.service import Principal
from app.annotation.queries import assignments, labels
from app.annotation.release import lapse_expired, release
from app.annotation.schemas import LabelView
from app.annotation.views import label_view
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


async def list_labels(
    session: AsyncSession,
    principal: Principal,
    project_name: str,
    annotator: str | None,
    *,
    after_id: int,
    limit: int,
) -> list[Label]:
    """A page of a project's labels: an annotator's own, or all (or one annotator's) for an admin.

    Raises:
        UnknownProject: no project has that name, or it is not one of theirs.
    """
    project = await projects.find_project(session, project_name, principal)
    if not principal.is_admin:
        if annotator not in (None, principal.name):
            return []
        annotator = principal.name
    return await labels.list_labels(session, project.id, annotator, after_id=after_id, limit=limit)


@dataclass(frozen=True, slots=True)
class NewestLabel:
    """A label, and what its prompt asks."""

    label: LabelView
    asked: str
    """The last turn of the prompt, whole."""


async def newest_labels(
    session: AsyncSession, project_name: str, *, limit: int
) -> list[NewestLabel]:
    """The labels of a project that came last, withdrawn ones too, the newest first; for admins.

    Raises:
        UnknownProject: no project has that name.
    """
    project = await projects.find_project(session, project_name)
    found = await labels.newest_labels(session, project.id, limit=limit)
    return [
        NewestLabel(
            label_view(label), content if isinstance(content, str) else content[-1]["content"] or ""
        )
        for label, content in found
    ]


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
