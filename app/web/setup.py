"""Setting a project up in five steps, and its settings: the same forms."""

from typing import Annotated, Any, Final, Literal

from fastapi import APIRouter, Request, Response
from pydantic import BaseModel, Field

from app.accounts.dependencies import AdminKey
from app.accounts.service import Principal
from app.http.json_route import JsonRoute
from app.http.session import Session
from app.projects import service as projects
from app.projects.views import ProjectRow, project_view
from app.settings import MAX_TEXT_CHARACTERS
from app.web.markdown import render_text
from app.web.render import render
from app.web.viewer import AdminViewer, ShownProject

router = APIRouter(route_class=JsonRoute)

Step = Literal["prompts", "strategy", "budget", "annotators"]
STEPS: Final = ("name", "prompts", "strategy", "budget", "annotators")
_TITLES: Final = {
    "name": "Name the project",
    "prompts": "Bring the prompts",
    "strategy": "Choose the strategy",
    "budget": "Set the budget",
    "annotators": "Invite annotators",
}


class Markdown(BaseModel):
    """A text to look at before it is kept."""

    text: Annotated[str, Field(max_length=MAX_TEXT_CHARACTERS)]


class Rendered(BaseModel):
    """How it is shown."""

    html: str


@router.get("/new")
async def new_project(request: Request, viewer: AdminViewer) -> Response:
    """The first step. It makes the project, so that the others change one."""
    return _setup(request, viewer, "name", None)


@router.post("/new/preview")
async def preview(sent: Markdown, _: AdminKey) -> Rendered:
    """Guidelines as annotators will see them."""
    return Rendered(html=render_text(sent.text))


@router.get("/p/{name}/setup/{step}")
async def setup(
    request: Request, step: Step, project: ShownProject, viewer: AdminViewer, session: Session
) -> Response:
    """A later step."""
    seconds = None
    if step == "budget":
        seconds = await projects.expected_pair_seconds(session, project.project)
    return _setup(request, viewer, step, project, pair_seconds=seconds)


@router.get("/p/{name}/settings")
async def settings(
    request: Request, project: ShownProject, viewer: AdminViewer, session: Session
) -> Response:
    """All of a project's settings."""
    return render(
        request,
        "settings.html",
        viewer=viewer,
        project=project_view(project),
        pair_seconds=await projects.expected_pair_seconds(session, project.project),
        step=None,
        **_choices(),
    )


def _setup(
    request: Request,
    viewer: Principal,
    step: str,
    project: ProjectRow | None,
    pair_seconds: float | None = None,
) -> Response:
    number = STEPS.index(step)
    return render(
        request,
        "setup.html",
        viewer=viewer,
        project=None if project is None else project_view(project),
        pair_seconds=pair_seconds,
        step=step,
        number=number,
        steps=STEPS,
        title=_TITLES[step],
        next_step=STEPS[number + 1] if number + 1 < len(STEPS) else None,
        before=STEPS[number - 1] if number > 1 else None,
        **_choices(),
    )


def _choices() -> dict[str, Any]:
    return {"strategies": projects.list_strategies().strategies}
