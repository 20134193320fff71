"""The prompt map: its script asks for the points, and draws them."""

from fastapi import APIRouter, Request, Response

from app.projects.views import project_view
from app.web.render import render
from app.web.viewer import AdminViewer, ShownProject

router = APIRouter(prefix="/p/{name}/map")


@router.get("")
async def show_map(request: Request, project: ShownProject, viewer: AdminViewer) -> Response:
    """The page."""
    return render(request, "map.html", viewer=viewer, project=project_view(project))
