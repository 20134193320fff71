"""Export: choose a recipe, see what it would hold, download it."""

from fastapi import APIRouter, Request, Response

from app.exports.recipes import RECIPES
from app.projects.views import project_view
from app.web.render import render
from app.web.viewer import AdminViewer, ShownProject

router = APIRouter(prefix="/p/{name}/export")


@router.get("")
async def export(request: Request, project: ShownProject, viewer: AdminViewer) -> Response:
    """The page; its script asks for the preview. Downloads are plain links."""
    return render(
        request,
        "export.html",
        viewer=viewer,
        project=project_view(project),
        recipes=list(RECIPES.values()),
    )
