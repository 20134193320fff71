"""Fifty annotators, three API processes, one Postgres: the budget and the queue hold."""

import asyncio
import contextlib
import os
import random
import tempfile
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import httpx
import psycopg
import pytest

from app.annotation.verify import verify
from app.storage.engine import create_engine, raw_dsn, session_factory
from tests.stress.annotators import Annotator, Desk
from tests.stress.audit import faults
from tests.stress.processes import ADMIN_KEY, running_parts
from tests.stress.promises import broken_promises
from tests.stress.world import all_work, hire, make_project, wait_for_plan

pytestmark = [pytest.mark.e2e, pytest.mark.timeout(1800)]

ANNOTATORS = 50
LEAVERS = 6
IN_TWO_TABS = 6
BUDGET = 300
DEADLINE_SECONDS = 800.0
_SAMPLE_SECONDS = 0.02
_LAPSE_SECONDS = 0.1
SEED = int(os.environ.get("STRESS_SEED", "20250101"))

_LET_SOME_LEASES_LAPSE = """
WITH locked AS (SELECT id FROM projects ORDER BY id FOR NO KEY UPDATE)
UPDATE assignments SET expires_at = clock_timestamp() - interval '1 second'
WHERE id IN (
    SELECT id FROM assignments
    WHERE status = 'held' AND (SELECT count(*) FROM locked) > 0
    ORDER BY random() LIMIT 3
)
"""


async def test_fifty_annotators_never_overspend_never_overlap_lose_nothing_and_come_to_an_end(
    database_url: str,
) -> None:
    rng = random.Random(SEED)
    with tempfile.TemporaryDirectory(prefix="ab-stress-") as folder:
        with running_parts(database_url, Path(folder), apis=3) as urls:
            annotators = await _let_them_work(database_url, urls, rng)
        await _check_the_end(database_url, annotators)


async def _let_them_work(database_url: str, urls: list[str], rng: random.Random) -> list[Annotator]:
    bearer = {"Authorization": f"Bearer {ADMIN_KEY}"}
    with httpx.Client(base_url=urls[0], headers=bearer, timeout=300) as admin:
        overlap = {"share": 0.2, "labels": 3}
        make_project(
            admin,
            "by-budget",
            prompts=100,
            responses=4,
            seed=1,
            budget={"unit": "labels", "limit": BUDGET},
            labels_per_pair=2,
            overlap=overlap,
        )
        make_project(
            admin, "by-pairs", prompts=50, responses=2, seed=2, labels_per_pair=2, overlap=overlap
        )
        wait_for_plan(admin, "by-budget", 150)
        wait_for_plan(admin, "by-pairs", 50)
        async with contextlib.AsyncExitStack() as stack:
            # The server closes what was idle for five seconds; a request on its way then is lost.
            limits = httpx.Limits(max_connections=None)
            clients = [
                await stack.enter_async_context(
                    httpx.AsyncClient(base_url=url, timeout=120, limits=limits)
                )
                for url in urls
            ]
            annotators = hire(
                admin, Desk(clients), rng, count=ANNOTATORS, leavers=LEAVERS, tabs=IN_TWO_TABS
            )
            async with _watched(database_url), asyncio.timeout(DEADLINE_SECONDS):
                await all_work(annotators, "by-budget", "by-pairs")
    return annotators


@contextlib.asynccontextmanager
async def _watched(database_url: str) -> AsyncIterator[None]:
    """Meanwhile the rules are sampled, and leases lapse at random moments."""
    async with asyncio.TaskGroup() as group:
        watching = [
            group.create_task(_sample(database_url)),
            group.create_task(_lapse(database_url)),
        ]
        yield
        for task in watching:
            task.cancel()


async def _connect(database_url: str) -> psycopg.AsyncConnection[Any]:
    return await psycopg.AsyncConnection.connect(raw_dsn(database_url), autocommit=True)


async def _sample(database_url: str) -> None:
    async with await _connect(database_url) as connection:
        while True:
            assert await faults(connection) == []
            await asyncio.sleep(_SAMPLE_SECONDS)


async def _lapse(database_url: str) -> None:
    async with await _connect(database_url) as connection:
        while True:
            await connection.execute(_LET_SOME_LEASES_LAPSE)
            await asyncio.sleep(_LAPSE_SECONDS)


async def _check_the_end(database_url: str, annotators: list[Annotator]) -> None:
    engine = create_engine(database_url, pool_size=1)
    try:
        async with session_factory(engine)() as session:
            assert (await verify(session)).differences == []
    finally:
        await engine.dispose()
    async with await _connect(database_url) as connection:
        assert await faults(connection) == []
        assert await broken_promises(connection, annotators) == []
        labels = await _one(connection, "SELECT count(*) FROM labels")
        assert labels == sum(len(annotator.told) for annotator in annotators)
        # Without these the test would prove little.
        everything = [told for annotator in annotators for told in annotator.told]
        assert any(told.undone for told in everything)
        assert {"counted", "surplus", "skipped"} == {told.status for told in everything}
        # Nobody waits for ever: whoever stayed was told that the work is over, and it is.
        for annotator in annotators[LEAVERS:]:
            assert set(annotator.ended) == {"by-budget", "by-pairs"}
        spent, reserved = await _one(
            connection, "SELECT ARRAY[spent, reserved] FROM projects WHERE name = 'by-budget'"
        )
        assert (spent, reserved) == (BUDGET, 0)
        still_open = "SELECT count(*) FROM pairs JOIN projects ON projects.id = project_id"
        still_open += " WHERE name = 'by-pairs' AND open"
        assert await _one(connection, still_open) == 0


async def _one(connection: psycopg.AsyncConnection[Any], statement: str) -> Any:
    row = await (await connection.execute(statement)).fetchone()
    assert row is not None
    return row[0]
