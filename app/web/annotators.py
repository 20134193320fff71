"""Annotators and their keys."""

from datetime import UTC, datetime
from typing import Final

from fastapi import APIRouter, Request, Response

from app.accounts import service as accounts
from app.accounts.views import annotator_view
from app.http.session import Session
from app.insights import service as insights
from app.projects import service as projects
from app.web.page_route import PageRoute
from app.web.render import render
from app.web.viewer import AdminViewer

router = APIRouter(prefix="/annotators", route_class=PageRoute)

_MOST: Final = 1000


@router.get("")
async def list_annotators(request: Request, session: Session, viewer: AdminViewer) -> Response:
    """Everybody with a key, active or not; what is done here goes through the API."""
    rows = await accounts.list_annotators(session, after_id=0, limit=_MOST)
    found = await projects.list_projects(session, viewer, after_id=0, limit=_MOST)
    state = request.app.state
    totals = await insights.label_totals(state.sessions, state.totals_cache)
    return render(
        request,
        "annotators.html",
        viewer=viewer,
        project=None,
        annotators=[annotator_view(row) for row in rows],
        labels={each.name: each.labels for each in totals.annotators},
        now=datetime.now(UTC),
        names=[row.project.name for row in found],
    )
