"""The whole service on one machine: database, APIs, embedders and planner under one supervisor."""

import asyncio
import contextlib
import os
import socket
import sys
import threading
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass

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
_MOST_API_CONNECTIONS = 80
"""Of all API processes together: a PostgreSQL as it comes takes 100, from the other parts too."""
_PORT_SECONDS = 3.0
"""How long the parts of a supervisor that was killed may take to leave its port."""


@dataclass(frozen=True, slots=True)
class Addresses:
    """What is told when the API answers. ``admin_key`` is None where we do not know it."""

    api: str
    admin_key: str | None


def serve(settings: Settings, announce: Callable[[Addresses], None]) -> None:
    """Run everything until SIGTERM or Ctrl-C; ``announce`` is called when the API answers.

    Raises:
        EmbeddedPostgresError: the data folder is in use or unusable, or Postgres does not start.
        AddressUnusable: the API cannot listen there.
    """
    with (
        StopSignals().installed() as signals,
        contextlib.suppress(StopAsked),
        contextlib.ExitStack() as stack,
    ):
        with signals.raising():
            supervisor = _prepared(settings, announce, stack)
        supervisor.run(signals)


def _prepared(
    settings: Settings, announce: Callable[[Addresses], None], stack: contextlib.ExitStack
) -> Supervisor:
    """Everything but the parts, entered on ``stack``: the folder, the socket, the database."""
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
    addresses = Addresses(address_of(listener), key)
    threading.Thread(
        target=_announce_when_it_answers, args=(addresses, announce), daemon=True
    ).start()
    return Supervisor(
        list(_parts(settings, url, listener)),
        shutdown_seconds=settings.shutdown_seconds,
        database=database,
    )


def _parts(settings: Settings, url: str, listener: socket.socket) -> Iterator[Part]:
    """The processes; the address of the database carries a password, so it is no argument."""
    data_dir = DataFolder.of(settings.data_dir).root
    environment = os.environ | {
        "DATABASE_URL": url,
        "DATA_DIR": str(data_dir),
        "DATABASE_POOL_SIZE": str(connections_of_each(settings)),
        "API_PROCESSES": str(settings.api_processes),
    }
    # -P: a folder `app` where the user happens to stand is not ours.
    command = [sys.executable, "-P", "-m", "app.cli"]
    # They all accept on the one socket: whoever is free takes the next connection.
    api = [*command, "api", "--supervised", f"--listen-descriptor={listener.fileno()}"]
    for name in _numbered("api", settings.api_processes):
        yield Part(name, api, environment, inherited=(listener.fileno(),))
    for name in _numbered("embedder", settings.embedders):
        yield Part(name, [*command, "embedder", "--supervised"], environment)
    yield Part("planner", [*command, "planner", "--supervised"], environment)


def connections_of_each(settings: Settings) -> int:
    """The pool of each API process: the setting, or less where many processes share a server."""
    if settings.api_processes == 1:
        return settings.database_pool_size
    fair = max(1, _MOST_API_CONNECTIONS // settings.api_processes)
    return min(settings.database_pool_size, fair)


def _numbered(name: str, count: int) -> list[str]:
    """Names to tell processes of one kind apart in the log."""
    return [name] if count == 1 else [f"{name}-{number}" for number in range(1, count + 1)]


def _announce_when_it_answers(addresses: Addresses, announce: Callable[[Addresses], None]) -> None:
    """A patient request: it waits in the socket's queue until the API takes it."""
    deadline = time.monotonic() + _FIRST_ANSWER_SECONDS
    while time.monotonic() < deadline:
        try:
            httpx.get(f"{addresses.api}/healthz", timeout=_FIRST_ANSWER_SECONDS, trust_env=False)
        except httpx.HTTPError:
            time.sleep(_RETRY_SECONDS)
        else:
            announce(addresses)
            return
    log.error("the API does not answer", address=addresses.api)
