"""The figures over HTTP: statistics, the curve, live events, and metrics for Prometheus."""

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable
from datetime import UTC, datetime
from typing import Annotated, Any, Final

from fastapi import APIRouter, Depends, Header, Query, Request, Response
from fastapi.sse import EventSourceResponse, ServerSentEvent
from sqlalchemy.exc import OperationalError
from sqlalchemy.exc import TimeoutError as PoolTimeout

from app.accounts.dependencies import AdminKey, AnyKey, AnyReader, identify
from app.accounts.service import Principal
from app.errors import Unauthenticated, UnknownProject
from app.http.json_route import JsonRoute
from app.http.problems import problems
from app.insights import metrics, service
from app.insights.events import EventStream
from app.insights.live import LiveFigures
from app.insights.prompt_map import prompt_map
from app.insights.schemas import LabelEfficiency, LabelTotals, OwnStats, PromptMap, Spend, Stats
from app.insights.spend import Step, spend_over_time
from app.projects.schemas import ProjectQuery
from app.projects.service import find_project
from app.settings import DEFAULT_PROJECT
from app.storage.notifications import Channel, Listener, Subscription
from app.storage.sessions import Session, Sessions

router = APIRouter(route_class=JsonRoute, tags=["figures"])

_EVENT_EXAMPLE: Final = (
    "event: ledger\n"
    'data: {"counts":{"prompts":900,"pending_prompts":0,"failed_prompts":0,"open_pairs":780,'
    '"held_assignments":3,"labels":120,"surplus_labels":0},"ledger":{"unit":"labels",'
    '"limit":5000,"spent":120,"reserved":3,"remaining":4877}}\n'
    "id: 5e0c1f4a9b27.6f1d2c3b4a59.0a1b2c3d4e5f.9f8e7d6c5b4a\n\n"
)
_EVENTS: Final[dict[int | str, dict[str, Any]]] = {
    200: {
        "description": "Server-sent events, until the client goes or the service stops.",
        "content": {"text/event-stream": {"example": _EVENT_EXAMPLE}},
    }
}
_ACCESS_POLL_SECONDS: Final = 60.0
"""How often a stream looks whether it may go on where no notification says so."""
_METRICS: Final[dict[int | str, dict[str, Any]]] = {
    200: {
        "description": "Prometheus' text format.",
        "content": {
            "text/plain": {
                "schema": {"type": "string"},
                "example": 'annotation_budget_pending_prompts{project="default"} 0.0\n',
            }
        },
    }
}


@router.get("/stats", summary="A project's figures", responses=problems(401, 404, 422))
async def get_stats(
    request: Request, principal: AnyKey, project: ProjectQuery = DEFAULT_PROJECT
) -> Stats | OwnStats:
    """An admin gets progress, annotators, agreement and similarities; an annotator gets its own.

    Only labels that count are included. In a large project everything but ledger and counts is
    cached for twenty times as long as it took to compute.
    """
    sessions: Sessions = request.app.state.sessions
    if principal.is_admin:
        return await service.project_stats(sessions, request.app.state.figures_cache, project)
    return await service.own_stats(sessions, principal, project)


@router.get(
    "/stats/annotators",
    summary="How many labels each annotator has over all projects",
    responses=problems(401, 403),
)
async def get_label_totals(request: Request, _: AdminKey) -> LabelTotals:
    """Labels that count. Where there are many, the figure is cached like those of `GET /stats`."""
    state = request.app.state
    return await service.label_totals(state.sessions, state.totals_cache)


@router.get(
    "/stats/spend",
    summary="Spend over time, and when the budget will be spent",
    responses=problems(401, 403, 404, 422),
)
async def get_spend(
    session: Session,
    _: AdminKey,
    project: ProjectQuery = DEFAULT_PROJECT,
    by: Annotated[Step, Query(description="The length of a step, in UTC")] = "day",
) -> Spend:
    """Spend in the budget's unit, less refunds, from the ledger's entries.

    The forecast takes the mean spend of each weekday over the 14 days before today; its interval
    comes from drawing those days again (bootstrap, 1,000 draws).
    """
    return await spend_over_time(session, project, by, datetime.now(UTC))


@router.get(
    "/map",
    summary="Prompts on a plane, by what they ask",
    responses=problems(401, 403, 404, 422),
)
async def get_map(
    request: Request, _: AdminKey, project: ProjectQuery = DEFAULT_PROJECT
) -> PromptMap:
    """Where the labels are, and where they are not: at most 20,000 prompts.

    Where it takes long, it is cached for twenty times as long.
    """
    state = request.app.state
    return await prompt_map(state.sessions, state.map_cache, project)


@router.get(
    "/curve",
    summary="What a project's labels have taught so far",
    responses=problems(401, 403, 404, 422),
)
async def get_curve(
    request: Request, _: AdminKey, project: ProjectQuery = DEFAULT_PROJECT
) -> LabelEfficiency:
    """The label-efficiency curve, and advice on stopping.

    A model is trained on the strategy's labels in the order in which they came, and tested on the
    exploration labels. It is measured again when the labels have grown by a percent, which takes
    seconds where there are many.
    """
    state = request.app.state
    return await service.label_efficiency(state.sessions, state.curve_cache, project)


async def _event_stream(
    request: Request,
    principal: AnyReader,
    project: ProjectQuery = DEFAULT_PROJECT,
    last_event_id: Annotated[
        str | None, Header(description="The id of the last event: what changed since is sent first")
    ] = None,
) -> AsyncIterator[EventStream]:
    sessions: Sessions = request.app.state.sessions
    live: LiveFigures = request.app.state.live_figures
    async with sessions() as session:
        found = await find_project(session, project, principal)

    async def is_key_valid() -> bool:
        return await _is_key_valid(request, principal, project)

    listener: Listener = request.app.state.listener
    with listener.subscribe(Channel.ACCESS_CHANGED) as changes:
        # A change before the subscription would not be noticed: look once more.
        if not await is_key_valid():
            raise Unauthenticated("no active annotator has this key")
        async with live.watch(found.id, found.name) as feed:
            stream = EventStream(feed, principal, is_key_valid, last_event_id)
            watcher = asyncio.create_task(
                _end_with_access(stream, changes, principal, is_key_valid)
            )
            try:
                yield stream
            finally:
                watcher.cancel()


async def _end_with_access(
    stream: EventStream,
    changes: Subscription,
    principal: Principal,
    is_key_valid: Callable[[], Awaitable[bool]],
) -> None:
    """End a stream as soon as its key or session ends, though it has nothing to send."""
    while True:
        change = await changes.get(_ACCESS_POLL_SECONDS)
        concerns_it = change is None or change.payload == str(principal.id)
        if concerns_it and not await is_key_valid():
            stream.end()
            return


async def _is_key_valid(request: Request, principal: Principal, project: str) -> bool:
    """Whether the key or session of a stream may do what it could when the stream began."""
    sessions: Sessions = request.app.state.sessions
    try:
        now = await identify(request)
        async with sessions() as session:
            await find_project(session, project, now)
    except (Unauthenticated, UnknownProject, OperationalError, PoolTimeout):
        return False
    return now == principal


@router.get(
    "/events",
    summary="A project's changes as they happen",
    response_class=EventSourceResponse,
    responses=_EVENTS | problems(401, 404, 422),
)
async def get_events(
    stream: Annotated[EventStream, Depends(_event_stream)],
) -> AsyncIterator[ServerSentEvent]:
    """Server-sent events `label`, `prompts`, `plan` and `ledger`.

    Each has the newest counts and ledger; at most one of a kind is sent a second. An annotator gets
    `plan` and `ledger`, and of the counts only `pending_prompts`. A comment every 15 seconds keeps
    a quiet connection open.
    """
    async for event in stream.events():
        yield event


@router.get(
    "/metrics",
    summary="The service's figures for Prometheus",
    response_class=Response,
    responses=_METRICS | problems(401, 403),
)
async def get_metrics(request: Request, _: AdminKey) -> Response:
    """Counters of this process, and figures from the database. For admins: it names projects."""
    state = request.app.state
    body = await metrics.scrape(state.sessions, state.request_metrics, state.live_figures.watchers)
    return Response(body, media_type=metrics.MEDIA_TYPE)
