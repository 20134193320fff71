"""What the command `api` does: the HTTP API in a process of its own."""

import asyncio
import gc
import math
import signal
import socket

import uvicorn
from fastapi import FastAPI
from sqlalchemy.exc import SQLAlchemyError

from app.cli.errors import CommandFailed
from app.cli.service import begin_part, database_reason
from app.main import create_app
from app.processes.admin_key import settle_admin_key
from app.processes.listening import listen
from app.processes.server import Server
from app.settings import Settings
from app.storage.engine import create_engine
from app.storage.migrate import pending_migration

_KEEP_ALIVE_SECONDS = 75
"""Longer than clients and proxies commonly keep an idle connection (5 to 60 s): so they end it, and
no request meets a connection that is being closed."""


def serve_api(settings: Settings, *, supervised: bool, descriptor: int | None) -> None:
    """Run the API alone, on a socket of its own or on the supervisor's."""
    url = begin_part(settings)
    if not supervised:
        asyncio.run(_ready_database(settings, url))
    listener = (
        listen(settings.host, settings.port)
        if descriptor is None
        else socket.socket(fileno=descriptor)
    )
    application = create_app(settings)
    config = server_config(application, settings)
    shares_sockets = descriptor is not None and settings.api_processes > 1
    server = Server(config, application.state.stopping, shares_sockets=shares_sockets)
    # Uvicorn sends itself the signal it was stopped by, to die of it; stopping is no failure.
    for number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(number, lambda *_: None)
    # What stands now stays: no collection of garbage need look at it again.
    gc.freeze()
    server.run(sockets=[listener])
    if not server.started:
        raise CommandFailed("The API did not start; the log above says why.")


def server_config(application: FastAPI, settings: Settings) -> uvicorn.Config:
    """How Uvicorn serves the API."""
    return uvicorn.Config(
        application,
        log_config=None,
        access_log=False,
        server_header=False,
        timeout_keep_alive=_KEEP_ALIVE_SECONDS,
        timeout_graceful_shutdown=math.ceil(settings.shutdown_seconds / 2),
    )


async def _ready_database(settings: Settings, url: str) -> None:
    """See that the database has our schema, and an admin with a known key."""
    engine = create_engine(url, pool_size=1)
    try:
        lack = await pending_migration(engine)
        if lack is not None:
            raise CommandFailed(f"{lack}: run `annotation-budget migrate` first.")
        if settings.admin_key is not None:
            await settle_admin_key(settings, url)
    except SQLAlchemyError as error:
        raise CommandFailed(database_reason(error)) from error
    finally:
        await engine.dispose()
