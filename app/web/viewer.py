"""Who looks at a page, and at which project."""

from typing import Annotated
from urllib.parse import quote

from fastapi import Depends, Request

from app.accounts.dependencies import page_principal
from app.accounts.service import Principal, require_admin
from app.http.session import Session
from app.projects import service as projects
from app.projects.views import ProjectRow


class SignInFirst(Exception):
    """Nobody is signed in: the browser is sent to the sign-in page, and back afterwards."""

    def __init__(self, back_to: str) -> None:
        super().__init__(back_to)
        self.location = f"/sign-in?next={quote(back_to, safe='/')}"


async def _viewer(request: Request) -> Principal:
    principal = await page_principal(request)
    if principal is None:
        path = request.scope["path"].removeprefix(request.scope.get("root_path", ""))
        query = request.url.query
        raise SignInFirst(f"{path}?{query}" if query else path)
    return principal


Viewer = Annotated[Principal, Depends(_viewer)]


def _admin_viewer(viewer: Viewer) -> Principal:
    return require_admin(viewer)


AdminViewer = Annotated[Principal, Depends(_admin_viewer)]


async def _shown_project(name: str, viewer: Viewer, session: Session) -> ProjectRow:
    await projects.find_project(session, name, viewer)
    return await projects.get_project(session, name)


ShownProject = Annotated[ProjectRow, Depends(_shown_project, scope="function")]
"""The project of ``/p/{name}`` with its counts, if it is one of the viewer's."""
