"""Run the HTTP API in a process of its own."""

import asyncio
import gc
import math
import signal
import socket

import uvicorn
from fastapi import FastAPI

from app.cli.errors import database_errors
from app.cli.serve.run import begin_part
from app.errors import CommandFailed
from app.main import create_app
from app.processes.admin_key import settle_admin_key
from app.processes.listening import listen
from app.processes.server import Server
from app.settings import Settings
from app.storage.engine import create_engine
from app.storage.migrate import require_newest_schema

_KEEP_ALIVE_SECONDS = 75
"""Longer than clients and proxies keep an idle connection (5 to 60 s), so that they close it first
and no request arrives on a connection that is being closed."""


def run_api(settings: Settings, *, supervised: bool, descriptor: int | None) -> None:
    """Run the API alone, on a socket of its own or on the supervisor's."""
    url = begin_part(settings)
    if not supervised:
        with database_errors():
            asyncio.run(_check_database(settings, url))
    listener = (
        listen(settings.host, settings.port)
        if descriptor is None
        else socket.socket(fileno=descriptor)
    )
    application = create_app(settings)
    config = server_config(application, settings)
    shares_sockets = descriptor is not None and settings.api_processes > 1
    server = Server(config, application.state.stopping, shares_sockets=shares_sockets)
    # Uvicorn ends by sending itself the signal that stopped it; a stop must exit with status 0.
    for number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(number, lambda *_: None)
    # What is loaded now stays: garbage collections need not look at it again.
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
        forwarded_allow_ips=settings.forwarded_allow_ips,
        timeout_keep_alive=_KEEP_ALIVE_SECONDS,
        timeout_graceful_shutdown=math.ceil(settings.shutdown_seconds / 2),
    )


async def _check_database(settings: Settings, url: str) -> None:
    """Require the newest schema, and set the admin's key where ``ADMIN_KEY`` gives one."""
    engine = create_engine(url, pool_size=1)
    try:
        await require_newest_schema(engine)
        if settings.admin_key is not None:
            await settle_admin_key(settings, url)
    finally:
        await engine.dispose()
