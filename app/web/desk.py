"""The desk: the page on which an annotator answers."""

import asyncio
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Annotated, Final

from fastapi import APIRouter, Query, Request, Response

from app.accounts.dependencies import AnyKey
from app.annotation import views
from app.annotation.claim import ClaimRequest, claim_pairs
from app.annotation.schemas import HandedPair, NextPairs, ShownResponse
from app.insights import service as insights
from app.projects.schemas import LedgerView
from app.projects.views import own_project
from app.web.markdown import render_text
from app.web.render import render
from app.web.texts import Turn, response_html, turns
from app.web.viewer import ShownProject, Viewer

router = APIRouter(prefix="/p/{name}/annotate")

_MAX_PAIRS: Final = 8


@dataclass(frozen=True, slots=True)
class Side:
    """A response: as it is shown, and its source, which an edit begins with."""

    html: str
    text: str


@dataclass(frozen=True, slots=True)
class DeskPair:
    """A pair as the desk shows it. There is nothing in it that could bias a judgement."""

    assignment_id: str
    prompt: list[Turn]
    left: Side
    right: Side
    expires_at: datetime


@dataclass(frozen=True, slots=True)
class DeskPairs:
    """What the annotator holds, and how the project stands."""

    pairs: list[DeskPair]
    ledger: LedgerView
    pending_prompts: int
    status: str
    retry_after: int | None


@router.get("")
async def desk(request: Request, project: ShownProject, viewer: Viewer) -> Response:
    """The page. Its script asks for the pairs, so that looking at it reserves nothing."""
    own = await insights.own_stats(request.app.state.sessions, viewer, project.project.name)
    today = own.labels_per_day[-1] if own.labels_per_day else None
    is_today = today is not None and today.day == datetime.now(UTC).date()
    return render(
        request,
        "desk.html",
        viewer=viewer,
        project=own_project(project),
        guidelines=render_text(project.project.guidelines),
        labels=own.counts.labels,
        today=today.labels if today is not None and is_today else 0,
        pace=own.annotators[0].median_seconds if own.annotators else None,
    )


@router.post("/pairs")
async def take_pairs(
    request: Request,
    response: Response,
    name: str,
    principal: AnyKey,
    budget: Annotated[int, Query(ge=1, le=_MAX_PAIRS)],
) -> DeskPairs:
    """``GET /next-pairs``, rendered. It reserves budget, so it needs the session's token."""
    response.headers["Cache-Control"] = "no-store"
    # A transaction of its own, over before the texts are rendered: it locks the project.
    async with request.app.state.sessions.begin() as session:
        claim = await claim_pairs(session, ClaimRequest(principal, name, budget))
    request.state.claim_status = claim.status.value
    request.app.state.announcer.note(claim.project.id)
    found = views.next_pairs(claim, is_admin=False)
    # Rendering long texts takes a while, for which other requests must not wait.
    return await asyncio.to_thread(_shown, found, is_plain=claim.project.plain_text)


def _shown(found: NextPairs, *, is_plain: bool) -> DeskPairs:
    return DeskPairs(
        pairs=[_pair(pair, is_plain=is_plain) for pair in found.pairs],
        ledger=found.ledger,
        pending_prompts=found.pending_prompts,
        status=found.status,
        retry_after=found.retry_after,
    )


def _pair(pair: HandedPair, *, is_plain: bool) -> DeskPair:
    return DeskPair(
        assignment_id=pair.assignment_id,
        prompt=turns(pair.prompt, pair.tools, is_plain=is_plain),
        left=_side(pair.left, is_plain=is_plain),
        right=_side(pair.right, is_plain=is_plain),
        expires_at=pair.expires_at,
    )


def _side(shown: ShownResponse, *, is_plain: bool) -> Side:
    return Side(response_html(shown.text, shown.tool_calls, is_plain=is_plain), shown.text)
