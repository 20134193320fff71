"""Annotators disagree, two admins settle it, over two API processes: every count stays right."""

import asyncio
import contextlib
import random
from pathlib import Path
from typing import Any

import httpx
import psycopg
import pytest

from app.annotation.verify import verify
from app.storage.engine import create_engine, raw_dsn, session_factory
from tests.stress.audit import faults
from tests.stress.processes import ADMIN_KEY, running_parts
from tests.stress.world import make_project, wait_for_plan

pytestmark = [pytest.mark.e2e, pytest.mark.timeout(900)]

PROJECT = "argued"
ANNOTATORS = 8
BUDGET = 150
PAIRS = 60
_PATIENCE_SECONDS = 600.0
_REFUSALS = {"/pair-full", "/label-differs"}


async def test_corrections_beside_labels_keep_every_count_right(
    database_url: str, tmp_path: Path
) -> None:
    with running_parts(database_url, tmp_path, apis=2) as urls:
        keys = _prepare(urls[0])
        async with contextlib.AsyncExitStack() as stack:
            clients = [
                await stack.enter_async_context(httpx.AsyncClient(base_url=url, timeout=120))
                for url in urls
            ]
            corrections = await _argue(clients, keys)
            await _check_the_end(database_url, clients[0], corrections)


def _prepare(url: str) -> dict[str, str]:
    """The project, its plan, and the keys of its people by their names."""
    bearer = {"Authorization": f"Bearer {ADMIN_KEY}"}
    with httpx.Client(base_url=url, headers=bearer, timeout=300) as admin:
        make_project(
            admin,
            PROJECT,
            prompts=PAIRS,
            responses=2,
            seed=3,
            budget={"unit": "labels", "limit": BUDGET},
            labels_per_pair=3,
        )
        wait_for_plan(admin, PROJECT, PAIRS)
        names = [f"annotator-{number}" for number in range(ANNOTATORS)]
        keys = {
            name: admin.post("/annotators", json={"name": name}).json()["key"] for name in names
        }
        judge = admin.post("/annotators", json={"name": "judge", "role": "admin"}).json()["key"]
    return keys | {"admin": ADMIN_KEY, "judge": judge}


async def _argue(clients: list[httpx.AsyncClient], keys: dict[str, str]) -> dict[str, str]:
    """Label and correct at once until the budget is spent; the corrections by label and pair."""
    corrections: dict[str, str] = {}
    is_over = asyncio.Event()

    async def annotate(name: str, rng: random.Random) -> None:
        while True:
            query = {"project": PROJECT, "budget": 2, "wait": 1}
            claim = await _send(clients, rng, keys[name], "GET", "/next-pairs", params=query)
            for pair in claim.json()["pairs"]:
                choice = rng.choice(("left", "right", "tie"))
                label = {"assignment_id": pair["assignment_id"], "choice": choice}
                answer = await _send(clients, rng, keys[name], "POST", "/labels", json=label)
                assert answer.status_code == 201, answer.text
            if claim.json()["status"] in ("exhausted", "complete"):
                return

    async def settle(name: str, rng: random.Random) -> None:
        query = {"project": PROJECT, "disagreement": True, "limit": 5}
        while not is_over.is_set():
            found = await _send(clients, rng, keys[name], "GET", "/pairs", params=query)
            for pair in found.json()["pairs"]:
                standing = [each for each in pair["labels"] if each["status"] != "withdrawn"]
                choice = rng.choice(("tie", "both_bad"))
                wrong = [each["id"] for each in standing if each["choice"] != choice]
                sent = {"choice": choice, "withdraw": wrong}
                path = f"/pairs/{pair['id']}/correction"
                answer = await _send(clients, rng, keys[name], "POST", path, json=sent)
                if answer.status_code == 201:
                    corrections[answer.json()["label"]["id"]] = pair["id"]
                elif answer.status_code != 200:
                    assert answer.status_code == 409, answer.text
                    assert any(answer.json()["type"].endswith(each) for each in _REFUSALS)
            await asyncio.sleep(0.05)

    rng = random.Random(7)
    async with asyncio.timeout(_PATIENCE_SECONDS), asyncio.TaskGroup() as everybody:
        for name in ("admin", "judge"):
            everybody.create_task(settle(name, random.Random(rng.random())))
        async with asyncio.TaskGroup() as annotators:
            for number in range(ANNOTATORS):
                name = f"annotator-{number}"
                annotators.create_task(annotate(name, random.Random(rng.random())))
        is_over.set()
    return corrections


async def _send(
    clients: list[httpx.AsyncClient],
    rng: random.Random,
    key: str,
    method: str,
    path: str,
    **sent: Any,
) -> httpx.Response:
    bearer = {"Authorization": f"Bearer {key}"}
    answer = await rng.choice(clients).request(method, path, headers=bearer, **sent)
    assert answer.status_code < 500, answer.text
    return answer


async def _check_the_end(
    database_url: str, client: httpx.AsyncClient, corrections: dict[str, str]
) -> None:
    engine = create_engine(database_url, pool_size=1)
    try:
        async with session_factory(engine)() as session:
            assert (await verify(session)).differences == []
    finally:
        await engine.dispose()
    async with await psycopg.AsyncConnection.connect(raw_dsn(database_url)) as connection:
        assert await faults(connection) == []
    assert len(corrections) > 5  # else the test would prove little
    for label_id, pair_id in corrections.items():
        bearer = {"Authorization": f"Bearer {ADMIN_KEY}"}
        label = (await client.get(f"/labels/{label_id}", headers=bearer)).json()
        assert label["pair_id"] == pair_id
        # It counts for ever, unless an admin has taken it back.
        assert label["status"] == "counted" or label["withdrawn_by"] in ("admin", "judge")
