"""Exploration has its share of the assignments from the first claim on, also while a plan fills."""

import asyncio
from collections import Counter
from decimal import Decimal
from typing import Any

import httpx
import numpy as np
import pytest
from sqlalchemy import func, select, update

from app.planner.index import ProjectIndex, index_path
from app.planner.project import ProjectPlanner
from app.settings import Settings
from app.storage.sessions import Sessions
from app.storage.tables import Pair, ProjectIntake, Prompt
from tests.annotation.conftest import World
from tests.annotation.test_claim import claim
from tests.support.api import ClientFactory

PROMPTS = 120
RESPONSES = 4


@pytest.fixture
async def planner(world: World, sessions: Sessions, settings: Settings) -> ProjectPlanner:
    """A planner of the default project."""
    project_id = (await world.project()).id
    index = ProjectIndex(project_id, sessions, index_path(settings.data_dir, project_id))
    return ProjectPlanner(sessions, index)


def arms(body: dict[str, Any]) -> Counter[str]:
    return Counter(pair["arm"] for pair in body["pairs"])


async def _post_prompts(client: httpx.AsyncClient, first: int = 0) -> None:
    vectors = np.random.default_rng(first).normal(size=(PROMPTS, RESPONSES, 8)).tolist()
    sent = [
        {
            "id": f"p{first + number}",
            "prompt": f"question {first + number}",
            "responses": [
                {"text": f"answer {place}", "embedding": vector}
                for place, vector in enumerate(of_prompt)
            ],
        }
        for number, of_prompt in enumerate(vectors)
    ]
    answer = await client.post("/prompts", json={"prompts": sent})
    assert answer.status_code == 201, answer.text


async def _keeps_its_share(world: World, share: float) -> None:
    project = await world.project()
    assigned = project.strategy_assigned + project.exploration_assigned
    assert project.exploration_assigned <= share * assigned


async def _label_all(client: httpx.AsyncClient, body: dict[str, Any]) -> None:
    for pair in body["pairs"]:
        label = {"assignment_id": pair["assignment_id"], "choice": "left"}
        assert (await client.post("/labels", json=label)).status_code == 201


@pytest.mark.parametrize("strategy", ["dissimilar", "dissimilar-global", "auto"])
async def test_while_a_plan_is_being_filled_exploration_keeps_its_share(
    client: httpx.AsyncClient, world: World, planner: ProjectPlanner, strategy: str
) -> None:
    await world.set_project(exploration=0.5, strategy=strategy, budget_limit=Decimal(60))
    await _post_prompts(client)
    assert (await claim(client, budget=60))["status"] == "waiting"
    # All prompts have arrived, and the pairs of exploration are in the plan; no others are.
    while await planner.index.catch_up():
        pass
    counts = (await client.get("/projects/default")).json()["counts"]
    assert counts["open_pairs"] >= 30

    at_first = await claim(client, budget=60)

    assert (at_first["pairs"], at_first["status"]) == ([], "waiting")
    assert at_first["retry_after"] == 2
    while await planner.take_turn():
        pass
    full = await claim(client, budget=60)
    assert arms(full) == {"strategy": 30, "exploration": 30}


@pytest.mark.parametrize("share", [0.0, 0.1, 0.5, 0.9])
async def test_the_share_holds_at_every_moment_of_a_plan_that_grows(
    client: httpx.AsyncClient, world: World, planner: ProjectPlanner, share: float
) -> None:
    await world.set_project(exploration=share, pairs_per_prompt=2)
    total: Counter[str] = Counter()
    for first in range(0, 3 * PROMPTS, PROMPTS):
        await _post_prompts(client, first)
        moved = True
        while moved:
            moved = await planner.index.catch_up()
            for _ in range(2):
                body = await claim(client, budget=50)
                total += arms(body)
                await _keeps_its_share(world, share)
                await _label_all(client, body)
                moved |= await planner.take_turn()
    assert total["strategy"] > 0
    assert (total["exploration"] > 0) == (share > 0)


async def test_the_share_holds_while_a_planner_works_beside_the_claims(
    client: httpx.AsyncClient, world: World, planner: ProjectPlanner
) -> None:
    await world.set_project(exploration=0.3, pairs_per_prompt=1, strategy="dissimilar")
    is_over = asyncio.Event()

    async def plan() -> None:
        while not is_over.is_set():
            await planner.take_turn()

    async def annotate() -> Counter[str]:
        total: Counter[str] = Counter()
        while True:
            body = await claim(client, budget=25)
            if body["status"] == "complete":
                return total
            total += arms(body)
            project = await world.project()
            is_strategy_over = total["strategy"] == PROMPTS - explorations
            assert is_strategy_over or project.exploration_assigned <= 0.3 * total.total()
            await _label_all(client, body)

    await _post_prompts(client)
    while await planner.index.catch_up():
        pass
    async with world.sessions() as session:
        drawn = select(func.count()).where(Prompt.exploration.is_(True))
        explorations = (await session.execute(drawn)).scalar_one()
    planning = asyncio.create_task(plan())
    try:
        total = await annotate()
    finally:
        is_over.set()
        await planning
    assert total == {"strategy": PROMPTS - explorations, "exploration": explorations}


async def test_a_prompt_with_pairs_outside_the_plan_is_waited_for(
    client: httpx.AsyncClient, world: World
) -> None:
    await world.add_pairs(4, arm="exploration", start=100)
    await world.add_pairs(1)
    await world.set_project(exploration=0.5)
    async with world.sessions.begin() as session:
        await session.execute(
            update(Prompt).where(Prompt.exploration.is_(False)).values(pairs_total=3)
        )

    first = await claim(client, budget=5)

    assert [pair["arm"] for pair in first["pairs"]] == ["strategy", "exploration"]
    await _label_all(client, first)
    then = await claim(client, budget=5)
    assert (then["pairs"], then["status"]) == ([], "waiting")


@pytest.mark.parametrize("count", ["pending", "unplanned"])
async def test_prompts_on_their_way_are_waited_for(
    client: httpx.AsyncClient, world: World, count: str
) -> None:
    await world.add_pairs(4, arm="exploration")
    await world.set_project(exploration=0.5, budget_limit=Decimal(100))
    async with world.sessions.begin() as session:
        await session.execute(update(ProjectIntake).values({count: 1}))

    body = await claim(client, budget=4)

    assert (body["pairs"], body["status"]) == ([], "waiting")


async def test_a_plan_without_any_more_pairs_of_the_strategy_goes_on_with_exploration(
    client: httpx.AsyncClient, world: World
) -> None:
    await world.add_pairs(2)
    await world.add_pairs(4, arm="exploration", start=100)
    # Its prompts have more pairs, but the strategy may hand out no more of them.
    await world.set_project(exploration=0.1, pairs_per_prompt=1)
    async with world.sessions.begin() as session:
        await session.execute(update(Prompt).values(pairs_total=6))

    body = await claim(client, budget=10)

    assert [pair["arm"] for pair in body["pairs"]] == ["strategy"] * 2 + ["exploration"] * 4


async def test_all_pairs_are_handed_out_where_all_are_exploration(
    client: httpx.AsyncClient, world: World
) -> None:
    await world.add_pairs(4, arm="exploration")
    await world.set_project(exploration=1.0)
    async with world.sessions.begin() as session:
        await session.execute(update(ProjectIntake).values(pending=1, unplanned=1))
    assert arms(await claim(client, budget=10)) == {"exploration": 4}


async def test_exploration_does_not_wait_for_pairs_that_its_annotator_cannot_get(
    client: httpx.AsyncClient, world: World, annotator_client: ClientFactory
) -> None:
    await world.add_pairs(2, labels_wanted=2)
    await world.add_pairs(3, arm="exploration", start=100)
    await world.set_project(exploration=0.0)
    ana = await annotator_client("ana")

    assert arms(await claim(client, budget=10)) == {"strategy": 2, "exploration": 3}
    assert len((await claim(ana, budget=10))["pairs"]) == 2


async def test_pairs_of_the_strategy_that_cost_too_much_are_not_waited_for(
    client: httpx.AsyncClient, world: World
) -> None:
    await world.add_pairs(1, expected_seconds=600)
    await world.add_pairs(1, arm="exploration", expected_seconds=30, start=100)
    await world.set_project(exploration=0.5, unit="minutes", budget_limit=Decimal(1))
    async with world.sessions.begin() as session:
        await session.execute(update(Prompt).values(pairs_total=3))
        await session.execute(update(ProjectIntake).values(pending=1))

    assert arms(await claim(client, budget=2)) == {"exploration": 1}


async def test_pairs_of_the_strategy_that_its_planner_is_replacing_are_waited_for(
    client: httpx.AsyncClient, world: World
) -> None:
    """A claim passes over them; they are neither gone nor too expensive."""
    planned = await world.add_pairs(2)
    await world.add_pairs(4, arm="exploration", start=100)
    await world.set_project(exploration=0.5, budget_limit=Decimal(20))
    async with world.sessions.begin() as session:
        locked = select(Pair.id).where(Pair.id.in_(planned)).with_for_update()
        assert len((await session.scalars(locked)).all()) == 2

        meanwhile = await claim(client, budget=6)

    assert (meanwhile["pairs"], meanwhile["status"]) == ([], "waiting")
    assert arms(await claim(client, budget=6)) == {"strategy": 2, "exploration": 4}


async def test_a_spent_budget_waits_for_nothing(client: httpx.AsyncClient, world: World) -> None:
    await world.add_pairs(1, arm="exploration")
    await world.set_project(budget_limit=Decimal(0))
    async with world.sessions.begin() as session:
        await session.execute(update(ProjectIntake).values(pending=1))
    assert (await claim(client))["status"] == "exhausted"


async def test_the_strategy_does_not_wait_for_exploration_which_catches_up(
    client: httpx.AsyncClient, world: World
) -> None:
    await world.add_pairs(8)
    await world.set_project(exploration=0.5)
    async with world.sessions.begin() as session:
        await session.execute(update(ProjectIntake).values(pending=1))
    before = await claim(client, budget=4)
    assert arms(before) == {"strategy": 4}
    await _label_all(client, before)
    await world.add_pairs(6, arm="exploration", start=100)

    after = await claim(client, budget=8)

    assert [pair["arm"] for pair in after["pairs"]] == ["exploration"] * 4 + [
        "strategy",
        "exploration",
    ] * 2
