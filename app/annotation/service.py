"""What annotators do besides claiming and labelling: give back, look at their labels."""

from sqlalchemy.ext.asyncio import AsyncSession

from app.accounts.service import Principal
from app.annotation import release
from app.annotation.queries import claims as queries
from app.errors import AssignmentAnswered, UnknownAssignment, UnknownLabel
from app.projects import service as projects
from app.storage.notifications import Channel, notify
from app.storage.tables import Label


async def give_back(session: AsyncSession, principal: Principal, number: int | None) -> None:
    """Release a held pair; releasing it again, or after it lapsed, changes nothing.

    Raises:
        UnknownAssignment: no assignment has that id, or it is somebody else's.
        AssignmentAnswered: it has been answered.
    """
    found = await queries.find_assignment(session, number) if number else None
    if found is None or not (principal.is_admin or found.annotator_id == principal.id):
        raise UnknownAssignment("no assignment of yours has that id")
    project = await projects.lock_project(session, found.project_id)
    assignment = await queries.find_assignment(session, found.id)
    if assignment is None:
        raise UnknownAssignment("no assignment of yours has that id")
    if assignment.status == "answered":
        raise AssignmentAnswered("it has been answered; undo its label instead")
    if assignment.status == "held":
        await release.release(session, project, assignment)
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
    return await queries.list_labels(session, project.id, annotator, after_id=after_id, limit=limit)


async def get_label(session: AsyncSession, principal: Principal, number: int | None) -> Label:
    """A label.

    Raises:
        UnknownLabel: no label has that id, or it is somebody else's.
    """
    label = await queries.find_label(session, number) if number else None
    if label is None or not (principal.is_admin or label.annotator == principal.name):
        raise UnknownLabel("no label of yours has that id")
    return label
