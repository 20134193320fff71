"""Pairs of the latest round of responses come before all others."""

import numpy as np
import pytest
from sqlalchemy import select

from app.selection.ordering import FIRST_ROUND, earliest_position
from app.selection.registry import STRATEGIES
from app.storage.tables import Pair, Prompt, Response
from tests.planner.planning import Floats, PlanWorld, unit


@pytest.fixture
def rng() -> np.random.Generator:
    return np.random.default_rng(11)


async def rounds_of(world: PlanWorld, pairs: list[Pair]) -> list[tuple[int, int]]:
    """The rounds of the two responses of each pair."""
    async with world.sessions() as session:
        rows = await session.execute(select(Response.id, Response.round))
        of_response = {row.id: row.round for row in rows}
    return [
        (of_response[pair.first_response_id], of_response[pair.second_response_id])
        for pair in pairs
    ]


async def label_first_round(world: PlanWorld, count: int, responses: Floats) -> list[int]:
    """Prompts of which the first ``count`` pairs of the plan have labels."""
    ids = await world.add_prompts(unit(np.random.default_rng(3), len(responses)), responses)
    await world.plan()
    await world.label((await world.pairs())[:count])
    return ids


@pytest.mark.parametrize("strategy", STRATEGIES)
async def test_fresh_pairs_come_first_whatever_the_strategy(
    world: PlanWorld, rng: np.random.Generator, strategy: str
) -> None:
    await world.set_project(strategy=strategy)
    ids = await label_first_round(world, 12, unit(rng, 20, 3))
    for prompt_id in ids[:5]:
        await world.add_responses(prompt_id, unit(rng, 3), 2)
    await world.plan()

    waiting = [pair for pair in await world.pairs() if not pair.handed_out]
    fresh = [each == (2, 2) for each in await rounds_of(world, waiting)]
    assert sum(fresh) == 5 * 3
    assert fresh == sorted(fresh, reverse=True)
    assert all(
        (pair.position < FIRST_ROUND) == is_fresh
        for pair, is_fresh in zip(waiting, fresh, strict=True)
    )
    # Each prompt's first fresh pair comes before the second of any, but in a global order.
    if not STRATEGIES[strategy].collection_wide:
        assert {pair.prompt_id for pair in waiting[:5]} == set(ids[:5])
    assert {pair.prompt_id for pair in waiting[:15]} == set(ids[:5])
    # All the others are there too, and nothing is planned twice.
    assert len(await world.pairs()) == 15 * 3 + 5 * 15


async def test_the_newest_of_three_rounds_comes_first(
    world: PlanWorld, rng: np.random.Generator
) -> None:
    ids = await label_first_round(world, 6, unit(rng, 8, 2))
    await world.add_responses(ids[0], unit(rng, 2), 2)
    await world.add_responses(ids[1], unit(rng, 2), 3)
    await world.add_responses(ids[2], unit(rng, 2), 3)
    await world.add_responses(ids[2], unit(rng, 2), 2)
    await world.plan()

    waiting = [pair for pair in await world.pairs() if not pair.handed_out]
    older = [min(both) for both in await rounds_of(world, waiting)]
    assert older == sorted(older, reverse=True)
    assert {pair.prompt_id for pair in waiting[:2]} == {ids[1], ids[2]}
    # Of a prompt with rounds 2 and 3, a pair of both belongs to round 2.
    assert older.count(3) == 2
    assert older.count(2) == 1 + 1 + 4


async def test_one_fresh_response_alone_waits_for_its_turn(
    world: PlanWorld, rng: np.random.Generator
) -> None:
    ids = await label_first_round(world, 6, unit(rng, 8, 2))
    await world.add_responses(ids[0], unit(rng, 1), 2)
    await world.plan()
    waiting = [pair for pair in await world.pairs() if not pair.handed_out]
    assert all(pair.position >= FIRST_ROUND for pair in waiting)
    assert sum(max(both) == 2 for both in await rounds_of(world, waiting)) == 2


async def test_the_position_that_was_foreseen_is_the_one_planned(
    world: PlanWorld, rng: np.random.Generator
) -> None:
    await world.set_project(strategy="dissimilar")
    ids = await label_first_round(world, 5, unit(rng, 8, 3))
    await world.add_responses(ids[0], unit(rng, 3), 2)
    await world.plan()
    (prompt,) = [each for each in await world.prompts() if each.id == ids[0]]
    foreseen = [
        earliest_position(
            of_round=2,
            turn=turn,
            near_duplicate=bool(prompt.near_duplicate),
            order_key=prompt.order_key or 0.0,
            after_all_others=bool(prompt.exploration),
        )
        for turn in range(3)
    ]
    planned = [pair.position for pair in await world.pairs() if pair.position < FIRST_ROUND]
    assert planned == pytest.approx(foreseen)


async def test_exploration_prompts_get_their_fresh_pairs_before_older_ones(
    world: PlanWorld, rng: np.random.Generator
) -> None:
    await world.set_project(exploration=0.5)
    ids = await label_first_round(world, 4, unit(rng, 30, 2))
    exploring = {each.id for each in await world.prompts() if each.exploration}
    assert exploring
    assert len(exploring) < len(ids)
    for prompt_id in ids:
        await world.add_responses(prompt_id, unit(rng, 2), 2)
    await world.plan()
    waiting = [pair for pair in await world.pairs() if not pair.handed_out]
    fresh = [pair for pair in waiting if pair.position < FIRST_ROUND]
    assert {pair.prompt_id for pair in fresh} == set(ids)
    of_exploration = [pair.prompt_id in exploring for pair in fresh]
    assert of_exploration == sorted(of_exploration)


async def test_a_plan_without_later_rounds_is_as_it_was(
    world: PlanWorld, rng: np.random.Generator
) -> None:
    await label_first_round(world, 5, unit(rng, 10, 3))
    async with world.sessions() as session:
        rows = await session.execute(
            select(Prompt.latest_round, Prompt.next_round, Prompt.next_place)
        )
        assert {tuple(row) for row in rows} == {(1, 1, 0)}
    assert all(pair.position >= FIRST_ROUND for pair in await world.pairs())
