"""The whole service on one machine: database, API, embedder and planner under a supervisor."""

import asyncio
import contextlib
import os
import socket
import sys
import threading
import time
from collections.abc import Callable, Iterator

import httpx
import structlog

from app.processes.admin_key import settle_admin_key
from app.processes.listening import address_of, listen
from app.processes.supervisor import Part, StopAsked, StopSignals, Supervisor
from app.settings import Settings
from app.storage.embedded.folder import DataDirLock, DataFolder
from app.storage.embedded.postgres import EmbeddedPostgres
from app.storage.migrate import upgrade

log = structlog.get_logger()

_FIRST_ANSWER_SECONDS = 120.0
_RETRY_SECONDS = 0.1
_MAX_API_CONNECTIONS = 80
"""Of all API processes together; PostgreSQL allows 100 by default, for all parts."""
_PORT_SECONDS = 3.0
"""How long the parts of a killed supervisor may take to release its port."""


Announce = Callable[[str, str | None], None]
"""Told the API's address and the admin's key (None if it is not known) when the API answers."""


def serve(settings: Settings, announce: Announce) -> None:
    """Run everything until SIGTERM or Ctrl-C.

    Raises:
        CommandFailed: the data folder, the database or the address cannot be used.
    """
    with (
        StopSignals().installed() as signals,
        contextlib.suppress(StopAsked),
        contextlib.ExitStack() as stack,
    ):
        with signals.raising():
            supervisor = _prepared(settings, announce, stack)
        supervisor.run(signals)


def _prepared(settings: Settings, announce: Announce, stack: contextlib.ExitStack) -> Supervisor:
    """Lock the folder, open the socket and start the database, all released by ``stack``."""
    folder = DataFolder.of(settings.data_dir)
    folder.make()
    lock = DataDirLock(folder)
    lock.acquire()
    stack.callback(lock.release)
    listener = stack.enter_context(
        listen(settings.host, settings.port, patience_seconds=_PORT_SECONDS)
    )
    database = None if settings.database_url else EmbeddedPostgres(folder.root, lock)
    if database is not None:
        stack.enter_context(database)
    url = str(settings.database_url) if database is None else database.url
    upgrade(url)
    key = asyncio.run(settle_admin_key(settings, url))
    threading.Thread(
        target=_announce_when_it_answers,
        args=(announce, address_of(listener), settings.root_path or "", key),
        daemon=True,
    ).start()
    return Supervisor(
        list(_parts(settings, url, listener)),
        shutdown_seconds=settings.shutdown_seconds,
        database=database,
    )


def _parts(settings: Settings, url: str, listener: socket.socket) -> Iterator[Part]:
    """The processes; the database's address has a password in it, so it is no argument."""
    data_dir = DataFolder.of(settings.data_dir).root
    environment = os.environ | {
        "DATABASE_URL": url,
        "DATA_DIR": str(data_dir),
        "DATABASE_POOL_SIZE": str(connections_of_each(settings)),
        "API_PROCESSES": str(settings.api_processes),
    }
    # -P keeps a folder `app` in the working directory from being imported.
    command = [sys.executable, "-P", "-m", "app.cli"]
    # All API processes accept on one socket.
    api = [*command, "api", "--supervised", f"--listen-descriptor={listener.fileno()}"]
    for name in _numbered("api", settings.api_processes):
        yield Part(name, api, environment, inherited=(listener.fileno(),))
    for name in _numbered("embedder", settings.embedders):
        yield Part(name, [*command, "embedder", "--supervised"], environment)
    yield Part("planner", [*command, "planner", "--supervised"], environment)


def connections_of_each(settings: Settings) -> int:
    """The connections of each API process: the setting, or less if many processes share them."""
    if settings.api_processes == 1:
        return settings.database_pool_size
    fair = max(1, _MAX_API_CONNECTIONS // settings.api_processes)
    return min(settings.database_pool_size, fair)


def _numbered(name: str, count: int) -> list[str]:
    """Names that tell the processes of one kind apart in the log."""
    return [name] if count == 1 else [f"{name}-{number}" for number in range(1, count + 1)]


def _announce_when_it_answers(
    announce: Announce, address: str, root_path: str, admin_key: str | None
) -> None:
    """Send a request, which waits in the socket's queue until the API takes it."""
    deadline = time.monotonic() + _FIRST_ANSWER_SECONDS
    while time.monotonic() < deadline:
        try:
            httpx.get(f"{address}/healthz", timeout=_FIRST_ANSWER_SECONDS, trust_env=False)
        except httpx.HTTPError:
            time.sleep(_RETRY_SECONDS)
        else:
            announce(address + root_path, admin_key)
            return
    log.error("the API does not answer", address=address)
