"""Signing in, and where a browser goes from the bare address."""

from fastapi import APIRouter, Request
from starlette.responses import RedirectResponse, Response

from app.accounts.service import Principal
from app.http.session import Session
from app.projects import service as projects
from app.web.render import render
from app.web.viewer import Viewer

router = APIRouter()


@router.get("/sign-in")
async def sign_in(request: Request) -> Response:
    """The page. Its script asks who is signed in: after a link from elsewhere, no cookie comes."""
    return render(request, "sign_in.html")


@router.get("/")
async def home(request: Request, session: Session, viewer: Viewer) -> Response:
    """To the desk for an annotator with one project, else to the projects."""
    root_path: str = request.scope.get("root_path", "")
    return RedirectResponse(root_path + await _home_of(session, viewer), 303)


async def _home_of(session: Session, viewer: Principal) -> str:
    if not viewer.is_admin:
        found = await projects.list_projects(session, viewer, after_id=0, limit=2)
        if len(found) == 1:
            return f"/p/{found[0].project.name}/annotate"
    return "/projects"
