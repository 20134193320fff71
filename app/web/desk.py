"""The desk: the page on which an annotator answers."""

import asyncio
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Annotated, Any, Final

from fastapi import APIRouter, Query, Request, Response

from app.accounts.dependencies import AnyKey
from app.annotation import views
from app.annotation.claim import ClaimRequest, claim_pairs
from app.annotation.schemas import HandedPair, NextPairs, ShownResponse
from app.formats.tool_calls import render_calls
from app.insights import service as insights
from app.projects.schemas import LedgerView
from app.projects.views import own_project
from app.web.markdown import SafeHtml, render_text
from app.web.render import render
from app.web.viewer import ShownProject, Viewer

router = APIRouter(prefix="/p/{name}/annotate")

_MAX_PAIRS: Final = 8
_WHO: Final = {"user": "User", "assistant": "Assistant", "system": "System", "tool": "Tool"}


@dataclass(frozen=True, slots=True)
class Side:
    """A response: as it is shown, and its source, which an edit begins with."""

    html: str
    text: str


@dataclass(frozen=True, slots=True)
class Turn:
    """A turn of the prompt."""

    who: str
    html: str


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
    return await asyncio.to_thread(_shown, found)


def _shown(found: NextPairs) -> DeskPairs:
    return DeskPairs(
        pairs=[_pair(pair) for pair in found.pairs],
        ledger=found.ledger,
        pending_prompts=found.pending_prompts,
        status=found.status,
        retry_after=found.retry_after,
    )


def _pair(pair: HandedPair) -> DeskPair:
    return DeskPair(
        assignment_id=pair.assignment_id,
        prompt=_turns(pair),
        left=_side(pair.left),
        right=_side(pair.right),
        expires_at=pair.expires_at,
    )


def _turns(pair: HandedPair) -> list[Turn]:
    tools = [] if pair.tools is None else [Turn("Tools", _as_code(pair.tools))]
    if isinstance(pair.prompt, str):
        return [*tools, Turn("User", render_text(pair.prompt))]
    return [*tools, *(_turn(turn) for turn in pair.prompt)]


def _turn(turn: Mapping[str, Any]) -> Turn:
    who = _WHO[turn["role"]] + (f" {turn['name']}" if turn.get("name") else "")
    return Turn(who, _with_calls(turn.get("content") or "", turn.get("tool_calls")))


def _side(shown: ShownResponse) -> Side:
    return Side(_with_calls(shown.text, shown.tool_calls), shown.text)


def _with_calls(text: str, calls: Sequence[Mapping[str, Any]] | None) -> SafeHtml:
    return render_text(text, code=render_calls(calls) if calls else None)


def _as_code(tools: Sequence[Mapping[str, Any]]) -> SafeHtml:
    names = "\n".join(_described(tool.get("function", tool)) for tool in tools)
    return render_text("", code=names)


def _described(function: Mapping[str, Any]) -> str:
    parameters = function.get("parameters") or {}
    names = ", ".join(parameters.get("properties") or {}) if isinstance(parameters, dict) else ""
    description = function.get("description")
    return f"{function.get('name')}({names})" + (f": {description}" if description else "")
