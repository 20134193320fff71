"""The overview: how a project stands, what the labels have taught, and when the budget ends."""

from datetime import UTC, datetime, timedelta
from typing import Annotated, Any, Final, Literal

from fastapi import APIRouter, Query, Request, Response

from app.accounts.service import Principal, list_annotators
from app.annotation.review.filters import LabelFilters
from app.annotation.review.service import list_labels
from app.http.paging import Page
from app.http.session import Session
from app.insights import service as insights
from app.insights.schemas import Stats
from app.insights.spend import Step, spend_over_time
from app.projects.views import project_view
from app.web import charts
from app.web.render import render
from app.web.texts import asked
from app.web.viewer import AdminViewer, ShownProject

router = APIRouter(prefix="/p/{name}")

Part = Literal["now", "budget", "curve", "similarity", "recent", "annotators"]
_NEWEST: Final = 8
_DAYS: Final = 14
_MOST_ANNOTATORS: Final = 1000
_YOUNG: Final = timedelta(days=3)
"""A project that has begun so lately is looked at by the hour."""


@router.get("")
async def overview(
    request: Request,
    project: ShownProject,
    viewer: AdminViewer,
    session: Session,
    by: Annotated[Step | None, Query()] = None,
    part: Annotated[Part | None, Query()] = None,
) -> Response:
    """The page, or one part of it that has changed."""
    now = datetime.now(UTC)
    if by is None:
        by = "hour" if now - project.project.created_at < _YOUNG else "day"
    template = "overview.html" if part is None else f"fragments/overview_{part}.html"
    name = project.project.name
    figures = await _figures(request, session, name, by, now)
    # Parts are asked for again with each label, so each brings only what it alone shows.
    if part in (None, "recent"):
        figures |= await _recent(session, viewer, name)
    if part in (None, "annotators"):
        figures |= await _people(session, figures["stats"], now)
    return render(
        request,
        template,
        viewer=viewer,
        project=project_view(project),
        since=project.project.created_at,
        by=by,
        now=now,
        **figures,
    )


async def _figures(
    request: Request, session: Session, name: str, by: Step, now: datetime
) -> dict[str, Any]:
    state = request.app.state
    stats = await insights.project_stats(state.sessions, state.figures_cache, name)
    curve = await insights.label_efficiency(state.sessions, state.curve_cache, name)
    spend = await spend_over_time(session, name, by, now)
    return {
        "stats": stats,
        "curve": curve,
        "spend": spend,
        "budget_chart": charts.budget_chart(spend, now),
        "curve_chart": charts.curve_chart(curve),
        "histogram": charts.histogram_chart(stats.similarity_histogram),
    }


async def _recent(session: Session, viewer: Principal, name: str) -> dict[str, Any]:
    newest = await list_labels(
        session,
        viewer,
        name,
        LabelFilters(),
        Page(limit=_NEWEST),
        is_newest_first=True,
        with_texts=True,
    )
    return {"newest": newest.labels, "asked": asked}


async def _people(session: Session, stats: Stats, now: datetime) -> dict[str, Any]:
    days = [now.date() - timedelta(days=ago) for ago in range(_DAYS - 1, -1, -1)]
    people = await list_annotators(session, after_id=0, limit=_MOST_ANNOTATORS)
    return {
        "seen": {each.annotator.name: each.annotator.seen_at for each in people},
        "days_of": {
            each.name: [
                next((of_day.labels for of_day in each.labels_per_day if of_day.day == day), 0)
                for day in days
            ]
            for each in stats.annotators
        },
    }
