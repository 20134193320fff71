"""The projects, with how each stands."""

from datetime import UTC, datetime
from typing import Final

from fastapi import APIRouter, Request, Response

from app.http.session import Session
from app.insights.spend import pace
from app.projects import service as projects
from app.projects.views import own_project, project_view
from app.web.page_route import PageRoute
from app.web.render import render
from app.web.viewer import Viewer

router = APIRouter(prefix="/projects", route_class=PageRoute)

_MOST: Final = 200


@router.get("")
async def list_projects(request: Request, session: Session, viewer: Viewer) -> Response:
    """All projects; an annotator's own, with the desk a click away."""
    rows = await projects.list_projects(session, viewer, after_id=0, limit=_MOST)
    paces = await pace(session, [row.project.id for row in rows], datetime.now(UTC))
    shown = [
        (
            project_view(row) if viewer.is_admin else own_project(row),
            paces.get(row.project.id),
        )
        for row in rows
    ]
    return render(request, "projects.html", viewer=viewer, project=None, projects=shown)
