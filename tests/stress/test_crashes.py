"""The service under annotators while its processes, Postgres too, are killed again and again."""

import asyncio
import contextlib
import os
import random
from collections.abc import AsyncIterator

import httpx
import psutil
import psycopg
import pytest

from app.annotation.verify import verify
from app.storage.embedded.cluster import find_running
from app.storage.embedded.folder import DataFolder
from app.storage.engine import create_engine, raw_dsn, session_factory
from tests.e2e.serving import RunningService, answers_ok, running_service, wait_until
from tests.stress.annotators import Annotator, Desk
from tests.stress.audit import faults
from tests.stress.promises import broken_promises
from tests.stress.world import all_work, hire, make_project, wait_for_plan

pytestmark = [pytest.mark.e2e, pytest.mark.timeout(1800)]

ANNOTATORS = 12
LEAVERS = 2
BUDGET = 120
DEADLINE_SECONDS = 800.0
KILLS = ("api", "postgres", "planner", "api", "embedder", "postgres", "api")
"""What is killed, in this order, as long as the work lasts."""
_SECONDS_BETWEEN_KILLS = (1.0, 3.0)
SEED = int(os.environ.get("STRESS_SEED", "20250102"))


async def test_every_label_answered_with_201_survives_kills_of_every_process() -> None:
    rng = random.Random(SEED)
    with running_service(LOG_LEVEL="WARNING", OMP_NUM_THREADS="1") as service:
        annotators, killed = await _let_them_work(service, rng)
        await _check_the_end(service, annotators)
    # Without these the test would prove little.
    assert {"api", "postgres"} <= set(killed)
    assert sum(len(annotator.told) for annotator in annotators) >= BUDGET


async def _let_them_work(
    service: RunningService, rng: random.Random
) -> tuple[list[Annotator], list[str]]:
    with service.client() as admin:
        budget = {"unit": "labels", "limit": BUDGET}
        make_project(
            admin, "work", prompts=60, responses=4, seed=3, budget=budget, labels_per_pair=2
        )
        wait_for_plan(admin, "work", 60)
        limits = httpx.Limits(max_connections=None)
        async with httpx.AsyncClient(base_url=service.url, timeout=120, limits=limits) as client:
            desk = Desk([client], patient=True)
            annotators = hire(admin, desk, rng, count=ANNOTATORS, leavers=LEAVERS, tabs=2)
            async with _killing(service, rng) as killed, asyncio.timeout(DEADLINE_SECONDS):
                await all_work(annotators, "work")
    return annotators, killed


@contextlib.asynccontextmanager
async def _killing(service: RunningService, rng: random.Random) -> AsyncIterator[list[str]]:
    killed: list[str] = []

    async def kill_for_ever() -> None:
        for part in KILLS:
            await asyncio.sleep(rng.uniform(*_SECONDS_BETWEEN_KILLS))
            found = _processes(service, part)
            if found:
                found[0].kill()
                killed.append(part)

    task = asyncio.create_task(kill_for_ever())
    try:
        yield killed
    finally:
        task.cancel()
        with contextlib.suppress(asyncio.CancelledError):
            await task


def _processes(service: RunningService, part: str) -> list[psutil.Process]:
    """The processes of one part of this service, of Postgres the first alone."""
    mine = str(service.data_dir)
    found = []
    for process in psutil.process_iter(["cmdline"]):
        command = process.info["cmdline"] or []
        if part == "postgres":
            is_it = (
                bool(command)
                and command[0].endswith("/postgres")
                and any(word.startswith(mine) for word in command)
            )
        else:
            is_it = part in command and "--supervised" in command and _works_for(process, mine)
        if is_it:
            found.append(process)
    return found


def _works_for(process: psutil.Process, data_dir: str) -> bool:
    try:
        return process.environ().get("DATA_DIR") == data_dir
    except psutil.Error:
        return False


async def _check_the_end(service: RunningService, annotators: list[Annotator]) -> None:
    wait_until(lambda: answers_ok(f"{service.url}/readyz"), 240, "ready once more", service.log)
    server = find_running(DataFolder.of(service.data_dir))
    assert server is not None
    url = server.url
    engine = create_engine(url, pool_size=1)
    try:
        async with session_factory(engine)() as session:
            assert (await verify(session)).differences == []
    finally:
        await engine.dispose()
    async with await psycopg.AsyncConnection.connect(raw_dsn(url), autocommit=True) as connection:
        assert await faults(connection) == []
        assert await broken_promises(connection, annotators) == []
    for annotator in annotators[LEAVERS:]:
        assert set(annotator.ended) == {"work"}
