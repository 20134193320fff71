"""Projects over HTTP.

``PATCH /projects/{name}`` is in ``annotation/routes.py``: expired assignments must lapse first, and
``projects`` may not import ``annotation``.
"""

from typing import Annotated

from fastapi import APIRouter, Query, Response

from app.accounts.dependencies import AdminKey, AnyKey
from app.http.json_route import JsonRoute
from app.http.paging import PageQuery
from app.http.problems import problems
from app.projects import service
from app.projects.schemas import (
    NewProject,
    OwnProject,
    OwnProjectList,
    ProjectList,
    ProjectView,
    StrategyList,
)
from app.projects.views import own_project, project_view
from app.storage.sessions import Session

router = APIRouter(route_class=JsonRoute, tags=["projects"])


@router.get("/strategies", summary="List the strategies", responses=problems(401))
async def list_strategies(_: AnyKey) -> StrategyList:
    """Every strategy that a project can have, the usual ones first."""
    return service.list_strategies()


@router.post(
    "/projects",
    status_code=201,
    summary="Make a project",
    responses=problems(401, 403, 409, 413, 415, 422),
)
async def create_project(new: NewProject, session: Session, _: AdminKey) -> ProjectView:
    """Make a project; what is left out has its default."""
    return project_view(await service.create_project(session, new))


@router.get("/projects", summary="List projects", responses=problems(401, 422))
async def list_projects(
    session: Session, page: PageQuery, principal: AnyKey
) -> ProjectList | OwnProjectList:
    """Projects, oldest first. An annotator gets its own, with guidelines and ledger."""
    rows = await service.list_projects(session, principal, after_id=page.after_id, limit=page.limit)
    next_cursor = page.next_cursor([row.project.id for row in rows])
    if principal.is_admin:
        return ProjectList(projects=list(map(project_view, rows)), next_cursor=next_cursor)
    return OwnProjectList(projects=list(map(own_project, rows)), next_cursor=next_cursor)


@router.get("/projects/{name}", summary="Look at a project", responses=problems(401, 404, 422))
async def get_project(name: str, session: Session, principal: AnyKey) -> ProjectView | OwnProject:
    """A project, its ledger and its counts. An annotator gets guidelines and ledger."""
    await service.find_project(session, name, principal)
    row = await service.get_project(session, name)
    return project_view(row) if principal.is_admin else own_project(row)


@router.delete(
    "/projects/{name}",
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
