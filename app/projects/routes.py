"""Projects over HTTP, for admins.

``PATCH /projects/{name}`` is in ``annotation/routes.py``: expired assignments must lapse first, and
``projects`` may not import ``annotation``.
"""

from typing import Annotated

from fastapi import APIRouter, Query, Response

from app.accounts.dependencies import AdminKey
from app.http.json_route import JsonRoute
from app.http.paging import PageQuery
from app.http.problems import problems
from app.projects import queries, service
from app.projects.schemas import NewProject, ProjectList, ProjectView
from app.projects.views import project_view
from app.storage.sessions import Session

router = APIRouter(prefix="/projects", route_class=JsonRoute, tags=["projects"])


@router.post(
    "", status_code=201, summary="Make a project", responses=problems(401, 403, 409, 413, 415, 422)
)
async def create_project(new: NewProject, session: Session, _: AdminKey) -> ProjectView:
    """Make a project; what is left out has its default."""
    return project_view(await service.create_project(session, new))


@router.get("", summary="List projects", responses=problems(401, 403, 422))
async def list_projects(session: Session, page: PageQuery, _: AdminKey) -> ProjectList:
    """Projects, oldest first."""
    rows = await queries.list_projects(session, after_id=page.after_id, limit=page.limit)
    return ProjectList(
        projects=[project_view(row) for row in rows],
        next_cursor=page.next_cursor([row.project.id for row in rows]),
    )


@router.get("/{name}", summary="Look at a project", responses=problems(401, 403, 404, 422))
async def get_project(name: str, session: Session, _: AdminKey) -> ProjectView:
    """A project, its ledger and its counts."""
    return project_view(await service.get_project(session, name))


@router.delete(
    "/{name}",
    status_code=204,
    summary="Erase a project and all its data",
    responses=problems(401, 403, 404, 409, 422),
)
async def delete_project(
    name: str,
    session: Session,
    _: AdminKey,
    confirm: Annotated[str | None, Query(description="The project's name, once more")] = None,
) -> Response:
    """Erase a project: its prompts, embeddings, labels and ledger."""
    await service.delete_project(session, name, confirm=confirm)
    return Response(status_code=204)
