"""A client that asks for a stream and reads nothing of it: nobody else may notice."""

import asyncio
import contextlib
import tempfile
import time
from collections.abc import AsyncIterator
from pathlib import Path

import httpx
import psutil
import psycopg
import pytest

from app.storage.engine import raw_dsn
from tests.stress.processes import ADMIN_KEY, running_parts

pytestmark = pytest.mark.e2e

_LABELS = 20_000
_ANSWER_CHARACTERS = 2000
_EXPORT_BYTES = _LABELS * _ANSWER_CHARACTERS * 2
_MOST_GROWTH_BYTES = (
    _EXPORT_BYTES  # all downloads together: kept whole, they would be five times that
)
_DOWNLOADS_AT_ONCE = 5  # of the ten connections to Postgres
_EVENT_STREAMS = 10
_PATIENCE_SECONDS = 120.0

# Every prompt has two long answers and one imported label.
_A_LARGE_DATASET = """
SET session_replication_role = replica;
INSERT INTO prompts (id, project_id, content, fingerprint, status, group_id, exploration,
    near_duplicate, order_key, pairs_planned, pairs_total)
SELECT n, projects.id, to_jsonb('question ' || n), n::text::bytea, 'ready', n, false, false, 0, 1, 1
FROM projects, generate_series(1, %(labels)s) n;
INSERT INTO responses (id, prompt_id, position, text)
SELECT n * 2 + place, n, place, repeat(md5((n * 2 + place)::text), %(answer)s / 32)
FROM generate_series(1, %(labels)s) n, generate_series(0, 1) place;
INSERT INTO pairs (id, project_id, prompt_id, first_response_id, second_response_id, arm, strategy,
    position, expected_seconds, labels_wanted, imported, handed_out)
SELECT n, projects.id, n, n * 2, n * 2 + 1, 'imported', 'imported', 0, 0, 0, 1, true
FROM projects, generate_series(1, %(labels)s) n;
INSERT INTO labels (project_id, prompt_id, pair_id, annotator, choice, preferred_response_id,
    rejected_response_id, status)
SELECT projects.id, n, n, 'import', 'left', n * 2, n * 2 + 1, 'counted'
FROM projects, generate_series(1, %(labels)s) n;
UPDATE projects SET counted_labels = %(labels)s;
UPDATE project_intake SET prompts = %(labels)s;
ANALYZE;
"""


async def test_clients_that_read_nothing_cost_neither_the_others_nor_the_memory(
    database_url: str,
) -> None:
    with psycopg.connect(raw_dsn(database_url), autocommit=True) as connection:
        parameters = {"labels": str(_LABELS), "answer": str(_ANSWER_CHARACTERS)}
        statement = _A_LARGE_DATASET
        for name, value in parameters.items():
            statement = statement.replace(f"%({name})s", value)
        connection.execute(statement.encode())
    with (
        tempfile.TemporaryDirectory(prefix="ab-slow-") as folder,
        running_parts(database_url, Path(folder), apis=1) as (url,),
    ):
        headers = {"Authorization": f"Bearer {ADMIN_KEY}"}
        async with httpx.AsyncClient(base_url=url, headers=headers, timeout=120) as client:
            api = _process_at(url)
            await _others_are_served(client)
            before = api.memory_info().rss
            async with contextlib.AsyncExitStack() as stack:
                paths = ["/exports/dpo"] * _DOWNLOADS_AT_ONCE + ["/events"] * _EVENT_STREAMS
                for path in paths:
                    await stack.enter_async_context(_slow_reader(url, path))
                refused = await client.get("/exports/dpo")
                assert refused.status_code == 503
                assert int(refused.headers["retry-after"]) > 0
                await _others_are_served(client)
                assert api.memory_info().rss - before < _MOST_GROWTH_BYTES
            # All of them gone, the service has all of its connections again.
            assert await _rows_of_a_download(client) == _LABELS


async def _rows_of_a_download(client: httpx.AsyncClient) -> int:
    """Once there is room for one."""
    deadline = time.monotonic() + _PATIENCE_SECONDS
    while True:
        async with client.stream("GET", "/exports/dpo") as export:
            if export.status_code == 200:
                return sum([chunk.count(b"\n") async for chunk in export.aiter_bytes()])
            assert export.status_code == 503
        assert time.monotonic() < deadline


async def _others_are_served(client: httpx.AsyncClient) -> None:
    deadline = time.monotonic() + _PATIENCE_SECONDS
    for _ in range(50):
        for path in ("/next-pairs", "/labels", "/projects"):
            answer = await client.get(path)
            assert answer.status_code == 200, answer.text
        assert time.monotonic() < deadline


@contextlib.asynccontextmanager
async def _slow_reader(url: str, path: str) -> AsyncIterator[None]:
    """A connection whose answer begins, and of which hardly anything is read."""
    address = httpx.URL(url)
    reader, writer = await asyncio.open_connection(address.host, address.port, limit=1024)
    request = f"GET {path} HTTP/1.1\r\nHost: {address.host}\r\nAuthorization: Bearer {ADMIN_KEY}"
    writer.write(f"{request}\r\n\r\n".encode())
    assert (await reader.readline()).startswith(b"HTTP/1.1 200")
    try:
        yield
    finally:
        writer.transport.abort()


def _process_at(url: str) -> psutil.Process:
    """The process that listens there."""
    port = httpx.URL(url).port
    (listening,) = [
        connection
        for connection in psutil.net_connections("tcp")
        if connection.status == psutil.CONN_LISTEN
        and connection.laddr
        and connection.laddr.port == port
    ]
    return psutil.Process(listening.pid)
