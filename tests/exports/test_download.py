"""The stream: constant memory, and an end that tells whether it is one."""

import asyncio
import json
import time
import tracemalloc
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager

import httpx
import pytest
import uvicorn
from fastapi import FastAPI
from sqlalchemy import text
from sqlalchemy.ext.asyncio import AsyncSession, async_sessionmaker

from app.exports.download import Download
from tests.support.api import ADMIN_KEY

Sessions = async_sessionmaker[AsyncSession]

_FILL = """
WITH added_prompts AS (
    INSERT INTO prompts (project_id, content, fingerprint, status, group_id, pairs_total)
    SELECT projects.id, to_jsonb('prompt ' || number), decode(md5(number::text), 'hex'), 'ready',
        number, 1
    FROM projects, generate_series(CAST(:first AS bigint), CAST(:last AS bigint)) AS number
    WHERE projects.name = 'default'
    RETURNING id, project_id
), added_responses AS (
    INSERT INTO responses (prompt_id, position, text)
    SELECT id, position, 'response ' || position || repeat(' text', CAST(:words AS int))
    FROM added_prompts, generate_series(0, 1) AS position
    RETURNING id, prompt_id, position
), added_pairs AS (
    INSERT INTO pairs (project_id, prompt_id, first_response_id, second_response_id, arm, strategy,
        position, expected_seconds, labels_wanted)
    SELECT project_id, added_prompts.id, min(added_responses.id), max(added_responses.id),
        'strategy', 'dissimilar', 0, 10, 1
    FROM added_prompts JOIN added_responses ON prompt_id = added_prompts.id
    GROUP BY project_id, added_prompts.id
    RETURNING *
)
INSERT INTO labels (project_id, prompt_id, pair_id, annotator, choice, preferred_response_id,
    rejected_response_id, status)
SELECT project_id, prompt_id, id, 'ana', 'left', first_response_id, second_response_id, 'counted'
FROM added_pairs
"""


async def _fill(sessions: Sessions, *, first: int, last: int, words: int) -> None:
    async with sessions.begin() as session:
        await session.execute(text(_FILL), {"first": first, "last": last, "words": words})


async def _never() -> dict[str, object]:
    await asyncio.Event().wait()
    raise AssertionError


def _scope(file: str) -> dict[str, object]:
    return {
        "type": "http",
        "asgi": {"version": "3.0", "spec_version": "2.4"},
        "http_version": "1.1",
        "method": "GET",
        "scheme": "http",
        "path": "/exports/dpo",
        "raw_path": b"/exports/dpo",
        "query_string": f"file={file}&metadata=true".encode(),
        "root_path": "",
        "headers": [(b"authorization", f"Bearer {ADMIN_KEY}".encode())],
        "client": ("127.0.0.1", 1),
        "server": ("127.0.0.1", 2),
    }


async def _read_all(app: FastAPI, file: str) -> int:
    """Export through the application and throw the bytes away as they come; how many they were."""
    received = 0

    async def send(message: dict[str, object]) -> None:
        nonlocal received
        assert message.get("status", 200) == 200
        body = message.get("body", b"")
        assert isinstance(body, bytes)
        received += len(body)

    await app(_scope(file), _never, send)  # type: ignore[arg-type]  # plain dicts are ASGI messages
    return received


@pytest.mark.parametrize("file", ["jsonl", "parquet"])
async def test_memory_does_not_grow_with_the_file(
    app: FastAPI, sessions: Sessions, file: str
) -> None:
    await _fill(sessions, first=1, last=1, words=600)
    await _read_all(app, file)  # loads what is loaded late
    await _fill(sessions, first=2, last=4000, words=600)

    tracemalloc.start()
    try:
        received = await _read_all(app, file)
        _, peak = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()

    assert received > (20_000_000 if file == "jsonl" else 100_000)
    assert peak < 15_000_000


@asynccontextmanager
async def _serve(app: FastAPI) -> AsyncIterator[str]:
    """The application behind a real server; its address."""
    config = uvicorn.Config(app, port=0, lifespan="off", log_config=None, access_log=False)
    server = uvicorn.Server(config)
    serving = asyncio.create_task(server.serve())

    async def server_has_started() -> bool:
        return server.started

    try:
        await _wait_until(server_has_started)
        port = server.servers[0].sockets[0].getsockname()[1]
        yield f"http://127.0.0.1:{port}"
    finally:
        server.should_exit = True
        await serving


_EXPORTING = """
SELECT pid FROM pg_stat_activity
WHERE datname = current_database() AND state = 'idle in transaction' AND backend_xmin IS NOT NULL
"""


async def _exporting(sessions: Sessions) -> list[int]:
    """The server processes that hold a snapshot between two statements: the exports."""
    async with sessions() as session:
        return list(await session.scalars(text(_EXPORTING)))


async def _wait_until(holds: Callable[[], Awaitable[bool]]) -> None:
    deadline = time.monotonic() + 20
    while not await holds():
        assert time.monotonic() < deadline
        await asyncio.sleep(0.01)


def _client(address: str) -> httpx.AsyncClient:
    headers = {"Authorization": f"Bearer {ADMIN_KEY}"}
    return httpx.AsyncClient(base_url=address, headers=headers, timeout=60)


async def test_a_stream_that_breaks_in_the_middle_does_not_look_whole(
    app: FastAPI, sessions: Sessions
) -> None:
    await _fill(sessions, first=1, last=5000, words=600)

    async with (
        _serve(app) as address,
        _client(address) as client,
        client.stream("GET", "/exports/dpo") as answer,
    ):
        pieces = answer.aiter_raw()
        assert await anext(pieces)
        await _wait_until(lambda: _terminate_exports(sessions))
        with pytest.raises(httpx.RemoteProtocolError):
            [piece async for piece in pieces]

    assert answer.status_code == 200


async def _terminate_exports(sessions: Sessions) -> bool:
    pids = await _exporting(sessions)
    async with sessions() as session:
        for pid in pids:
            await session.execute(text("SELECT pg_terminate_backend(:pid)"), {"pid": pid})
    return bool(pids)


async def test_a_client_that_leaves_frees_the_connection_and_its_snapshot(
    app: FastAPI, sessions: Sessions
) -> None:
    await _fill(sessions, first=1, last=5000, words=600)

    async with _serve(app) as address, _client(address) as client:
        async with client.stream("GET", "/exports/dpo"):
            await _wait_until(lambda: _is_exporting(sessions))

        await _wait_until(lambda: _is_idle(app, sessions))


async def _is_exporting(sessions: Sessions) -> bool:
    return bool(await _exporting(sessions))


async def _is_idle(app: FastAPI, sessions: Sessions) -> bool:
    return not await _exporting(sessions) and app.state.engine.pool.checkedout() == 0


async def test_an_export_shows_one_state_of_the_database(app: FastAPI, sessions: Sessions) -> None:
    await _fill(sessions, first=1, last=5000, words=600)

    async with _serve(app) as address, _client(address) as client:
        async with client.stream("GET", "/exports/dpo") as answer:
            await _wait_until(lambda: _is_exporting(sessions))
            async with sessions.begin() as session:
                await session.execute(text("DELETE FROM labels"))
            content = await answer.aread()
        afterwards = await client.get("/exports/dpo")

    assert len([json.loads(line) for line in content.splitlines()]) == 5000
    assert afterwards.content == b""


async def test_a_client_that_reads_nothing_is_cut_off_and_gives_its_connection_back(
    app: FastAPI, sessions: Sessions, monkeypatch: pytest.MonkeyPatch
) -> None:
    await _fill(sessions, first=1, last=3000, words=100)
    monkeypatch.setattr(Download, "stalled_seconds", 0.2)
    sent: list[object] = []

    async def send(message: dict[str, object]) -> None:
        sent.append(message)
        if len(sent) == 4:
            await asyncio.Event().wait()

    async with asyncio.timeout(20):
        await app(_scope("jsonl"), _never, send)  # type: ignore[arg-type]  # as above
    assert len(sent) == 4
    assert app.state.engine.pool.checkedout() == 0
    assert not app.state.download_slots.locked()
