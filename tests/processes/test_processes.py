"""Several API processes behind one address, and a stop that loses nothing that was begun."""

import asyncio
import contextlib
import os
import re
import signal
import subprocess
import sys
import time
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator
from pathlib import Path
from typing import Any

import httpx
import psutil
import psycopg
import pytest
from sqlalchemy import select

from app.accounts.service import ensure_admin
from app.processes.serve import connections_of_each
from app.settings import Settings
from app.storage.engine import raw_dsn
from app.storage.sessions import Sessions
from app.storage.tables import Label
from tests.annotation.conftest import World
from tests.support.api import ADMIN_KEY

COMMAND = [sys.executable, "-P", "-m", "app.cli"]
HEADERS = {"Authorization": f"Bearer {ADMIN_KEY}"}
DEADLINE_SECONDS = 60.0
POLL_SECONDS = 0.02


async def until(holds: Callable[[], Awaitable[bool]], what: str) -> None:
    deadline = time.monotonic() + DEADLINE_SECONDS
    while not await holds():
        assert time.monotonic() < deadline, f"not in {DEADLINE_SECONDS:.0f} s: {what}"
        await asyncio.sleep(POLL_SECONDS)


@contextlib.contextmanager
def started(
    *arguments: str, database_url: str, folder: Path, **settings: str
) -> Iterator["subprocess.Popen[str]"]:
    """A command of ours, in its own process; killed at the end if it still runs."""
    environment = os.environ | {
        "DATABASE_URL": database_url,
        "DATA_DIR": str(folder / "data"),
        "ADMIN_KEY": ADMIN_KEY,
        "LOG_LEVEL": "WARNING",
        **settings,
    }
    with (
        (folder / "log").open("w") as log,
        subprocess.Popen(
            [*COMMAND, *arguments],
            env=environment,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=log,
            text=True,
        ) as process,
    ):
        try:
            yield process
        finally:
            process.kill()


@pytest.fixture
async def admin_key(sessions: Sessions) -> None:
    async with sessions.begin() as session:
        await ensure_admin(session, ADMIN_KEY)


def api_processes(service: "subprocess.Popen[str]") -> set[int]:
    found = set()
    for child in psutil.Process(service.pid).children():
        with contextlib.suppress(psutil.Error):
            if child.cmdline()[1:5] == [*COMMAND[1:], "api"]:
                found.add(child.pid)
    return found


def address_said(service: "subprocess.Popen[str]") -> str:
    """What `serve` prints when the API answers."""
    assert service.stdout is not None
    for line in service.stdout:
        words = line.split()
        if words[:1] == ["API"]:
            return words[1]
    raise AssertionError("the service ended before it answered")


async def answering_process(url: str) -> int:
    """The process that takes the next connection and answers on it."""
    async with httpx.AsyncClient(base_url=url, headers=HEADERS, timeout=30) as client:
        assert (await client.get("/healthz")).status_code == 200
        body = (await client.get("/metrics")).text
    found = re.search(r'process="[^":]+:(\d+)",[^}]*route="/healthz"', body)
    assert found is not None
    return int(found[1])


def test_the_pools_of_many_api_processes_stay_within_what_a_postgres_takes() -> None:
    pools = {
        processes: connections_of_each(
            Settings.model_validate({"api_processes": processes, "database_pool_size": 30})
        )
        for processes in (1, 2, 4, 16, 64)
    }
    assert pools == {1: 30, 2: 30, 4: 20, 16: 5, 64: 1}


@pytest.mark.e2e
async def test_several_api_processes_share_one_address_and_one_killed_interrupts_nothing(
    admin_key: None, database_url: str, tmp_path: Path
) -> None:
    arguments = ("serve", "--port", "0", "--api-processes", "3", "--embedders", "2")
    with started(*arguments, database_url=database_url, folder=tmp_path) as service:
        url = await asyncio.to_thread(address_said, service)
        await until_serving(service, url, 3)
        everything = psutil.Process(service.pid).children(recursive=True)
        names = [process.cmdline()[4] for process in everything]
        assert sorted(names) == ["api", "api", "api", "embedder", "embedder", "planner"]

        shares = await connections_taken(service, url, 30)
        assert sum(shares) == 30
        assert min(shares) >= 3, shares

        killed = await answering_process(url)
        os.kill(killed, signal.SIGKILL)
        for _ in range(40):
            assert await answering_process(url) != killed
        await until_serving(service, url, 3)

        everything = psutil.Process(service.pid).children(recursive=True)
        service.send_signal(signal.SIGTERM)
        assert await asyncio.to_thread(service.wait, 30) == 0
        assert [one for one in everything if one.is_running() and one.status() != "zombie"] == []


async def connections_taken(service: "subprocess.Popen[str]", url: str, count: int) -> list[int]:
    """How many of so many clients that come at once each API process has taken."""
    port = httpx.URL(url).port
    async with contextlib.AsyncExitStack() as stack:
        clients = [
            await stack.enter_async_context(httpx.AsyncClient(base_url=url, timeout=30))
            for _ in range(count)
        ]
        await asyncio.gather(*(client.get("/healthz") for client in clients))
        return [
            sum(
                one.status == psutil.CONN_ESTABLISHED and one.laddr.port == port
                for one in psutil.Process(pid).net_connections()
            )
            for pid in api_processes(service)
        ]


async def until_serving(service: "subprocess.Popen[str]", url: str, count: int) -> None:
    """Wait until so many processes live, and each of them has answered."""

    async def all_serve() -> bool:
        async with asyncio.TaskGroup() as tasks:
            asked = [tasks.create_task(answering_process(url)) for _ in range(4 * count)]
        return len({task.result() for task in asked} & api_processes(service)) == count

    await until(all_serve, f"{count} processes answer")


@contextlib.asynccontextmanager
async def locked_projects(database_url: str) -> AsyncIterator[dict[str, Any]]:
    """The rows of the projects, each held by a transaction; ending one lets its requests go on."""
    async with contextlib.AsyncExitStack() as stack:
        held = {}
        for name in ("default", "other"):
            held[name] = await stack.enter_async_context(
                await psycopg.AsyncConnection.connect(raw_dsn(database_url))
            )
            await held[name].execute("SELECT FROM projects WHERE name = %s FOR UPDATE", (name,))
        yield held


async def waiting_for_locks(database_url: str) -> int:
    connection = await psycopg.AsyncConnection.connect(raw_dsn(database_url), autocommit=True)
    async with connection:
        rows = await connection.execute(
            "SELECT count(*) FROM pg_stat_activity"
            " WHERE datname = current_database() AND wait_event_type = 'Lock'"
        )
        found = await rows.fetchone()
    assert found is not None
    return int(found[0])


async def first_event(client: httpx.AsyncClient, begun: asyncio.Event) -> list[str]:
    """Read an event stream to its end; a stream that is cut off raises."""
    lines = []
    async with client.stream("GET", "/events") as answer:
        assert answer.status_code == 200
        async for line in answer.aiter_lines():
            lines.append(line)
            begun.set()
    return lines


@pytest.mark.e2e
async def test_a_stopping_api_finishes_what_it_has_begun(
    admin_key: None, sessions: Sessions, database_url: str, tmp_path: Path
) -> None:
    await World(sessions).add_pairs(500)
    with started("api", "--port", "0", database_url=database_url, folder=tmp_path) as service:
        port = await listening_port(service)
        url = f"http://127.0.0.1:{port}"
        async with httpx.AsyncClient(base_url=url, headers=HEADERS, timeout=60) as client:
            pairs = (await client.get("/next-pairs?budget=500")).json()["pairs"]
            assert len(pairs) == 500
            labels = [{"assignment_id": one["assignment_id"], "choice": "left"} for one in pairs]
            assert (await client.post("/projects", json={"name": "other"})).status_code == 201
            pending = {"prompt": "?", "responses": [{"text": "one"}, {"text": "two"}]}
            sent = await client.post("/prompts?project=other", json=pending)
            assert sent.status_code == 201

            watching = asyncio.Event()
            events = asyncio.create_task(first_event(client, watching))
            await watching.wait()
            async with locked_projects(database_url) as held:
                labelling = asyncio.create_task(client.post("/labels", json={"labels": labels}))
                waiting = asyncio.create_task(client.get("/next-pairs?project=other&wait=30"))

                async def both_wait() -> bool:
                    return await waiting_for_locks(database_url) == 2

                await until(both_wait, "both requests are in the database")
                await held["other"].rollback()
                service.send_signal(signal.SIGTERM)
                await until(lambda: refuses_connections(port), "no connection is taken any more")
                await held["default"].rollback()
                begin = time.monotonic()
                labelled, waited = await labelling, await waiting
            assert await asyncio.wait_for(events, DEADLINE_SECONDS)
            assert await asyncio.to_thread(service.wait, 30) == 0
            assert time.monotonic() - begin < 5
    assert labelled.status_code == 201, labelled.text
    assert len(labelled.json()["labels"]) == 500
    assert waited.status_code == 200
    assert waited.json()["status"] == "waiting"
    async with sessions() as session:
        assert len((await session.scalars(select(Label.id))).all()) == 500


async def listening_port(service: "subprocess.Popen[str]") -> int:
    """The port that the process listens on, once it answers."""
    process = psutil.Process(service.pid)
    ports: list[int] = []

    async def listens() -> bool:
        assert service.poll() is None
        ports[:] = [
            one.laddr.port for one in process.net_connections() if one.status == psutil.CONN_LISTEN
        ]
        return bool(ports)

    await until(listens, "the API listens")
    async with httpx.AsyncClient(timeout=60) as client:
        assert (await client.get(f"http://127.0.0.1:{ports[0]}/healthz")).status_code == 200
    return ports[0]


async def refuses_connections(port: int) -> bool:
    try:
        _, writer = await asyncio.open_connection("127.0.0.1", port)
    except ConnectionError:
        return True
    writer.close()
    return False
