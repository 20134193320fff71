"""Change a project, weighed against what annotators hold."""

from sqlalchemy.ext.asyncio import AsyncSession

from app.annotation.release import lapse_expired
from app.projects import service as projects
from app.projects.queries import ProjectRow
from app.projects.schemas import ProjectChange


async def change_project(session: AsyncSession, name: str, change: ProjectChange) -> ProjectRow:
    """Change what is set in ``change``; what has lapsed does not stand against it.

    Raises:
        UnknownProject: no project has that name.
        BudgetBelowSpent, UnitInUse, TooFewLabelsPerPair: what is stored forbids it.
        InvalidInput: an unknown strategy, or a budget in money without an hourly rate.
    """
    project = await projects.find_project(session, name)
    project = await projects.lock_project(session, project.id)
    await lapse_expired(session, project)
    return await projects.change_project(session, project, change)
