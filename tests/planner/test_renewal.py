"""The plan is renewed while annotators work: claims, kills, and what pairs cost."""

import asyncio
import itertools
import os
import signal
from collections import defaultdict

import numpy as np
import pytest
from numpy.typing import NDArray
from sqlalchemy import func, select

from app.accounts.service import Principal
from app.annotation.claim import ClaimRequest, claim_pairs
from app.storage.tables import Annotator, Pair
from tests.planner.planning import DEADLINE_SECONDS, Floats, PlanWorld, plan_all, unit, until


@pytest.fixture
def rng() -> np.random.Generator:
    return np.random.default_rng(5)


def responses(pair: Pair) -> tuple[int, int]:
    return pair.first_response_id, pair.second_response_id


async def count(world: PlanWorld, strategy: str) -> int:
    async with world.sessions() as session:
        pairs = select(func.count()).where(Pair.strategy == strategy, ~Pair.handed_out)
        return await session.scalar(pairs) or 0


async def claim_two(world: PlanWorld, name: str) -> int:
    """How many pairs a new annotator gets who asks for two."""
    async with world.sessions.begin() as session:
        row = Annotator(name=name, role="annotator", key_hash=os.urandom(16))
        session.add(row)
        await session.flush()
        principal = Principal(row.id, name, "annotator", all_projects=True)
        return len((await claim_pairs(session, ClaimRequest(principal, "default", 2))).pairs)


@pytest.mark.e2e
async def test_claims_always_find_pairs_while_the_plan_is_renewed(
    world: PlanWorld, rng: np.random.Generator
) -> None:
    await world.add_prompts(unit(rng, 2000), unit(rng, 2000, 3))
    await world.plan()
    found: list[int] = []
    with world.planner_process():
        for name in ("similar", "dissimilar-global", "coverage"):
            await world.set_project(strategy=name)
            async with asyncio.timeout(DEADLINE_SECONDS):
                while await count(world, name) == 0 or await others(world, name):
                    found.append(await claim_two(world, f"ann{len(found)}"))
                    await asyncio.sleep(0.05)

    assert found
    assert set(found) == {2}
    assert await world.miscounted() == []


async def others(world: PlanWorld, strategy: str) -> int:
    async with world.sessions() as session:
        pairs = select(func.count()).where(Pair.strategy != strategy, ~Pair.handed_out)
        return await session.scalar(pairs) or 0


async def test_a_pair_that_is_being_handed_out_is_neither_waited_for_nor_replaced(
    world: PlanWorld, rng: np.random.Generator
) -> None:
    await world.set_project(pairs_per_prompt=1)
    await world.add_prompts(unit(rng, 20), unit(rng, 20, 4))
    async with world.planner() as planner:
        await plan_all(planner)
        first = (await world.pairs())[0]
        await world.set_project(strategy="similar")
        async with world.sessions() as claim:
            held = await claim.scalar(select(Pair).where(Pair.id == first.id).with_for_update())
            assert held is not None

            async def all_but_one() -> bool:
                await planner.take_turns()
                return await count(world, "similar") == 19

            await until(all_but_one)
            held.handed_out, held.held = True, 1
            await claim.commit()
        await plan_all(planner)

    pairs = await world.pairs()
    assert len(pairs) == 20
    assert [pair.id for pair in pairs if pair.strategy == "dissimilar"] == [first.id]


async def test_a_pair_whose_claim_came_to_nothing_is_replaced_after_all(
    world: PlanWorld, rng: np.random.Generator
) -> None:
    await world.add_prompts(unit(rng, 20), unit(rng, 20, 4))
    async with world.planner() as planner:
        await plan_all(planner)
        first = (await world.pairs())[0]
        await world.set_project(strategy="similar")
        async with world.sessions() as claim:
            await claim.scalar(select(Pair).where(Pair.id == first.id).with_for_update())

            async def all_but_its_prompt() -> bool:
                await planner.take_turns()
                return await count(world, "similar") == 19 * 6

            await until(all_but_its_prompt)
        await plan_all(planner)

    assert await count(world, "similar") == 20 * 6


@pytest.mark.e2e
@pytest.mark.parametrize("name", ["similar", "dissimilar-global"])
async def test_a_planner_killed_during_a_renewal_leaves_a_plan_that_the_next_completes(
    world: PlanWorld, rng: np.random.Generator, name: str
) -> None:
    await world.set_project(pairs_per_prompt=1)
    await world.add_prompts(unit(rng, 2000), unit(rng, 2000, 3))
    await world.plan()
    await world.set_project(strategy=name)
    for goal in (1, 900):
        with world.planner_process() as process:

            async def enough(goal: int = goal) -> bool:
                return await count(world, name) >= goal

            await until(enough)
            os.kill(process.pid, signal.SIGKILL)
            process.wait()
        assert await world.miscounted() == []
        assert len({pair.prompt_id for pair in await world.pairs()}) == 2000
    await world.plan()

    assert await count(world, name) == len(await world.pairs()) == 2000
    assert await world.miscounted() == []


async def test_a_change_to_a_collection_wide_strategy_and_back_leaves_the_nearer_half_right(
    world: PlanWorld, rng: np.random.Generator
) -> None:
    await world.add_prompts(unit(rng, 100), unit(rng, 100, 12))
    async with world.planner() as planner:
        await plan_all(planner)
        before = [responses(pair) for pair in await world.pairs()]
        await world.set_project(strategy="dissimilar-global")
        await plan_all(planner)
        similarities = [pair.similarity or 0.0 for pair in await world.pairs()]
        await world.set_project(strategy="dissimilar")
        await plan_all(planner)

    cosines = await world.cosines()
    assert len(similarities) == 4000
    np.testing.assert_allclose(similarities, cosines[:4000], atol=1e-6)
    assert [responses(pair) for pair in await world.pairs()][:2000] == before[:2000]
    assert await world.miscounted() == []


def by_value_per_cost(
    vectors: dict[int, Floats], words: NDArray[np.int64]
) -> list[tuple[int, int]]:
    """The pairs of a prompt, by 1 − cosine over expected seconds."""
    ids = sorted(vectors)

    def value(pair: tuple[int, int]) -> float:
        seconds = 8 + sum(int(words[ids.index(one)]) for one in pair) * 60 / 238
        return (1 - float(vectors[pair[0]] @ vectors[pair[1]])) / seconds

    return sorted(itertools.combinations(ids, 2), key=value, reverse=True)


async def planned(world: PlanWorld) -> dict[int, list[tuple[int, int]]]:
    found = defaultdict(list)
    for pair in await world.pairs():
        found[pair.prompt_id].append(responses(pair))
    return found


async def test_a_budget_in_time_is_planned_by_value_per_cost_and_one_in_labels_is_not(
    world: PlanWorld, rng: np.random.Generator
) -> None:
    words = rng.integers(0, 400, (30, 5))
    ids = await world.add_prompts(unit(rng, 30), unit(rng, 30, 5), words)
    async with world.planner() as planner:
        await plan_all(planner)
        in_labels = [(responses(pair), pair.position) for pair in await world.pairs()]
        await world.set_project(unit="minutes")
        await plan_all(planner)
        in_minutes = await planned(world)
        sequence = [pair.prompt_id for pair in await world.pairs()]
        await world.set_project(unit="labels")
        await plan_all(planner)

    vectors = await world.vectors()
    wanted = {
        one: by_value_per_cost(vectors[one], row) for one, row in zip(ids, words, strict=True)
    }
    assert wanted == in_minutes
    assert wanted != await planned(world)
    uniform = {one.id: one.order_key or 0.0 for one in await world.prompts()}
    assert sequence == 10 * sorted(uniform, key=lambda one: uniform[one])
    assert [(responses(pair), pair.position) for pair in await world.pairs()] == in_labels


async def test_a_new_price_changes_the_plan_of_a_budget_in_money_and_what_pairs_cost(
    world: PlanWorld, rng: np.random.Generator
) -> None:
    words = rng.integers(0, 400, (30, 5))
    await world.set_project(unit="money", cost_hourly_rate=20, strategy="dissimilar-global")
    await world.add_prompts(unit(rng, 30), unit(rng, 30, 5), words)
    async with world.planner() as planner:
        await plan_all(planner)
        before = await world.pairs()
        await world.set_project(cost_words_per_minute=10_000)
        await plan_all(planner)

    def values(pairs: list[Pair]) -> list[float]:
        return [(1 - (pair.similarity or 0.0)) / pair.expected_seconds for pair in pairs]

    after = await world.pairs()
    assert len(before) == len(after) == 300
    for pairs in (before, after):
        np.testing.assert_allclose(values(pairs), sorted(values(pairs), reverse=True), atol=1e-9)
    assert [pair.id for pair in before] != [pair.id for pair in after]
    assert max(pair.expected_seconds for pair in after) < 8 + 800 * 60 / 10_000
