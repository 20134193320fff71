"""The application: the one place where the parts of an API process are wired together."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack, asynccontextmanager
from importlib.metadata import version

from fastapi import FastAPI

from app import __distribution__
from app.accounts import routes as accounts
from app.accounts import session_routes as browser_sessions
from app.annotation import routes as annotation
from app.exports import routes as exports
from app.http import docs, health, problems
from app.http.middleware import CountRequests, LimitRates, RefuseNulCharacters, RequestLog
from app.http.rate_limits import RateLimits
from app.http.request_metrics import RequestMetrics
from app.http.root_path import UnderRootPath
from app.imports import routes as imports
from app.insights import routes as insights
from app.insights.cache import Cache, fresh_in_proportion_to_cost, fresh_until_labels_change
from app.insights.live import LiveFigures
from app.projects import routes as projects
from app.prompts import routes as prompts
from app.settings import Settings
from app.storage.engine import create_engine, session_factory
from app.storage.notifications import LedgerAnnouncer, Listener
from app.web import routes as pages

_DESCRIPTION = """Decides which pairs of LLM responses are worth a human's label, hands them out
under a budget, keeps every label, and gives back a dataset that a trainer loads as it is."""


def create_app(settings: Settings) -> FastAPI:
    """The API over the database of ``settings.database_url``, which must be set."""
    url = str(settings.database_url)
    rate_limits = RateLimits(settings)

    @asynccontextmanager
    async def connected(app: FastAPI) -> AsyncIterator[None]:
        async with AsyncExitStack() as stack:
            engine = create_engine(url, pool_size=settings.database_pool_size)
            stack.push_async_callback(engine.dispose)
            stack.push_async_callback(rate_limits.close)
            app.state.engine = engine
            app.state.autocommit_engine = engine.execution_options(isolation_level="AUTOCOMMIT")
            app.state.sessions = session_factory(engine)
            app.state.download_slots = asyncio.Semaphore(max(1, settings.database_pool_size // 2))
            app.state.listener = await stack.enter_async_context(Listener(url))
            app.state.announcer = await stack.enter_async_context(
                LedgerAnnouncer(app.state.sessions)
            )
            app.state.live_figures = await stack.enter_async_context(
                LiveFigures(
                    app.state.sessions,
                    app.state.listener,
                    app.state.stopping,
                    poll_seconds=settings.poll_seconds,
                )
            )
            yield

    app = FastAPI(
        title=__distribution__,
        version=version(__distribution__),
        description=_DESCRIPTION,
        license_info={"name": "Apache-2.0", "identifier": "Apache-2.0"},
        lifespan=connected,
        docs_url=None,
        redoc_url=None,
    )
    app.state.settings = settings
    app.state.stopping = asyncio.Event()
    app.state.figures_cache = Cache(fresh_in_proportion_to_cost)
    app.state.totals_cache = Cache(fresh_in_proportion_to_cost)
    app.state.map_cache = Cache(fresh_in_proportion_to_cost, one_at_a_time=True)
    app.state.curve_cache = Cache(fresh_until_labels_change, one_at_a_time=True)
    app.state.request_metrics = RequestMetrics()
    app.state.rate_limits = rate_limits
    problems.install(app)
    pages.install(app)
    rooms = (
        accounts, browser_sessions, projects, imports, prompts, annotation, exports, insights,
        health, docs,
    )  # fmt: skip
    for room in rooms:
        app.include_router(room.router)
    app.add_middleware(RefuseNulCharacters)
    app.add_middleware(LimitRates, limits=rate_limits)
    app.add_middleware(RequestLog)
    app.add_middleware(CountRequests, metrics=app.state.request_metrics)
    app.add_middleware(UnderRootPath, root_path=settings.root_path or "")
    return app
