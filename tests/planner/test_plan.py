"""The plan: which pairs, in which order, and what changes it."""

import itertools
from collections import defaultdict

import numpy as np
import pytest
from sqlalchemy import select, update

from app.storage.tables import Label, Pair
from tests.planner.planning import Floats, PlanWorld, near, plan_all, unit


@pytest.fixture
def rng() -> np.random.Generator:
    return np.random.default_rng(5)


def by_cosine(vectors: dict[int, Floats]) -> list[tuple[int, int]]:
    return sorted(
        itertools.combinations(sorted(vectors), 2),
        key=lambda pair: float(vectors[pair[0]] @ vectors[pair[1]]),
    )


async def hand_out(world: PlanWorld, pairs: list[Pair], **columns: object) -> None:
    async with world.sessions.begin() as session:
        await session.execute(
            update(Pair)
            .where(Pair.id.in_([pair.id for pair in pairs]))
            .values(handed_out=True, **columns)
        )


async def test_each_prompts_most_different_pair_comes_first_round_after_round(
    world: PlanWorld, rng: np.random.Generator
) -> None:
    base = unit(rng, 20)
    await world.add_prompts(np.concatenate([base, base[:5]]), unit(rng, 25, 4))

    await world.plan()

    pairs = await world.pairs()
    prompts = {one.id: one for one in await world.prompts()}
    chosen: dict[int, list[tuple[int, int]]] = defaultdict(list)
    keys = []
    for pair in pairs:
        prompt = prompts[pair.prompt_id]
        keys.append((len(chosen[prompt.id]), prompt.near_duplicate, prompt.order_key))
        chosen[prompt.id].append((pair.first_response_id, pair.second_response_id))
    assert len(pairs) == 25 * 6
    assert keys == sorted(keys)
    vectors = await world.vectors()
    assert {one: by_cosine(vectors[one]) for one in prompts} == chosen
    assert await world.miscounted() == []


async def test_later_pairs_of_exploration_prompts_come_after_everything_else(
    world: PlanWorld, rng: np.random.Generator
) -> None:
    await world.set_project(exploration=0.5)
    await world.add_prompts(unit(rng, 20), unit(rng, 20, 4))

    await world.plan()

    prompts = {one.id: one for one in await world.prompts()}
    tiers = [bool(prompts[pair.prompt_id].exploration) for pair in await world.pairs()]
    assert set(tiers) == {False, True}
    assert tiers == sorted(tiers)
    assert len(tiers) + len(await world.pairs("exploration")) == 20 * 6


async def test_the_plan_holds_some_thousands_and_new_prompts_come_before_second_rounds(
    world: PlanWorld, rng: np.random.Generator
) -> None:
    await world.add_prompts(unit(rng, 60), unit(rng, 60, 12))
    await world.plan()
    planned = len(await world.pairs())
    more = await world.add_prompts(unit(rng, 30), unit(rng, 30, 12))

    await world.plan()

    first = (await world.pairs())[:90]
    assert 3900 < planned <= 60 * 66
    assert set(more) <= {pair.prompt_id for pair in first}
    assert len({pair.prompt_id for pair in first}) == 90


async def test_the_plan_is_refilled_when_its_nearer_half_has_been_handed_out(
    world: PlanWorld, rng: np.random.Generator
) -> None:
    await world.add_prompts(unit(rng, 1700), unit(rng, 1700, 3))
    async with world.planner() as planner:
        await plan_all(planner)
        pairs = await world.pairs()
        await hand_out(world, pairs[:1500], counted=1)
        await plan_all(planner)
        unchanged = await world.pairs()
        await hand_out(world, pairs[1500:2100], counted=1)
        await plan_all(planner)

    assert len(pairs) == len(unchanged) == 4000
    refilled = await world.pairs()
    order = {one.id: one.order_key or 0.0 for one in await world.prompts()}
    assert len(refilled) == 5100
    assert [pair.prompt_id for pair in refilled] == 3 * sorted(order, key=lambda one: order[one])


async def test_another_strategy_replaces_only_unseen_pairs(
    world: PlanWorld, rng: np.random.Generator
) -> None:
    await world.add_prompts(unit(rng, 20), unit(rng, 20, 4))
    await world.set_project(pairs_per_prompt=2)
    await world.plan()
    before = await world.pairs()
    seen, labelled = before[:10], before[10]
    await hand_out(world, seen)
    async with world.sessions.begin() as session:
        session.add(
            Label(
                project_id=world.project_id, prompt_id=labelled.prompt_id, pair_id=labelled.id,
                annotator="elsewhere", choice="tie", status="counted",
            )
        )  # fmt: skip
        await session.execute(update(Pair).where(Pair.id == labelled.id).values(imported=1))
    await world.set_project(strategy="similar")

    await world.plan()

    after = await world.pairs()
    kept = {pair.id for pair in after if pair.strategy == "dissimilar"}
    assert kept == {pair.id for pair in seen} | {labelled.id}
    assert len(after) == 40
    vectors = await world.vectors()
    planned = defaultdict(list)
    for pair in after:
        planned[pair.prompt_id].append((pair.first_response_id, pair.second_response_id))
    fresh = {one.id for one in await world.prompts()} - {
        pair.prompt_id for pair in after if pair.id in kept
    }
    assert {one: planned[one] for one in fresh} == {
        one: by_cosine(vectors[one])[:-3:-1] for one in fresh
    }
    assert await world.miscounted() == []
    async with world.sessions() as session:
        assert len((await session.scalars(select(Label))).all()) == 1


async def test_unseen_pairs_of_a_prompt_with_added_responses_are_chosen_again(
    world: PlanWorld, rng: np.random.Generator
) -> None:
    await world.set_project(pairs_per_prompt=1)
    responses = np.stack([near(one, 0.9, rng) for one in np.repeat(unit(rng, 2), 3, axis=0)])
    responses = responses.reshape(2, 3, -1)
    ids = await world.add_prompts(unit(rng, 2), responses)
    await world.plan()
    seen = [pair for pair in await world.pairs() if pair.prompt_id == ids[1]]
    await hand_out(world, seen)
    for one, vectors in zip(ids, responses, strict=True):
        await world.add_responses(one, -vectors[:1])

    await world.plan()

    vectors_of = await world.vectors()
    pairs = {pair.prompt_id: pair for pair in await world.pairs()}
    assert len(pairs) == 2
    assert (pairs[ids[0]].first_response_id, pairs[ids[0]].second_response_id) == by_cosine(
        vectors_of[ids[0]]
    )[0]
    assert pairs[ids[1]].id == seen[0].id
    assert await world.miscounted() == []


async def test_a_lower_bound_of_pairs_per_prompt_removes_the_later_ones(
    world: PlanWorld, rng: np.random.Generator
) -> None:
    await world.add_prompts(unit(rng, 10), unit(rng, 10, 5))
    await world.plan()
    before = await world.pairs()
    await hand_out(world, before[:10])
    await world.set_project(pairs_per_prompt=2)

    await world.plan()

    assert [pair.id for pair in before[:20]] == [pair.id for pair in await world.pairs()]
    assert await world.miscounted() == []


async def test_pairs_tell_what_they_cost_and_how_many_labels_they_want(
    world: PlanWorld, rng: np.random.Generator
) -> None:
    await world.set_project(overlap_share=0.3, overlap_labels=3, labels_per_pair=2)
    await world.add_prompts(unit(rng, 300), unit(rng, 300, 2), words=119)

    await world.plan()

    pairs = await world.pairs()
    assert {pair.expected_seconds for pair in pairs} == {8 + 60}
    wanted = [pair.labels_wanted for pair in pairs]
    assert wanted == [3 if pair.overlap_draw < 0.3 else 2 for pair in pairs]
    # Binomial, standard deviation 8.
    assert abs(wanted.count(3) - 90) < 35


async def test_labels_wanted_follow_settings_that_change_while_the_planner_runs(
    world: PlanWorld, rng: np.random.Generator
) -> None:
    await world.add_prompts(unit(rng, 10), unit(rng, 10, 2))
    async with world.planner() as planner:
        await plan_all(planner)
        await world.set_project(labels_per_pair=2)
        await plan_all(planner)

    assert {pair.labels_wanted for pair in await world.pairs()} == {2}


async def test_dissimilar_global_orders_the_pairs_of_the_whole_collection(
    world: PlanWorld, rng: np.random.Generator
) -> None:
    await world.set_project(strategy="dissimilar-global")
    await world.add_prompts(unit(rng, 100), unit(rng, 100, 12))
    async with world.planner() as planner:
        await plan_all(planner)
        planned = await world.pairs()
        await world.add_prompts(unit(rng, 50), unit(rng, 50, 12))
        await plan_all(planner)

    cosines = await world.cosines()
    pairs = await world.pairs()
    assert len(planned) == 4000
    np.testing.assert_allclose(
        [pair.similarity or 0.0 for pair in pairs[:2000]], cosines[:2000], atol=1e-6
    )
    assert await world.miscounted() == []


async def test_random_plans_every_pair_once_in_an_order_of_its_own(
    world: PlanWorld, rng: np.random.Generator
) -> None:
    await world.set_project(strategy="random")
    await world.add_prompts(np.repeat(unit(rng, 1), 30, axis=0), unit(rng, 30, 3))

    await world.plan()

    pairs = await world.pairs()
    order = {one.id: one.order_key or 0.0 for one in await world.prompts()}
    assert len({(pair.first_response_id, pair.second_response_id) for pair in pairs}) == 90
    assert [order[pair.prompt_id] for pair in pairs] == 3 * sorted(order.values())
    vectors = await world.vectors()
    lowest = {by_cosine(one)[0] for one in vectors.values()}
    firsts = {(pair.first_response_id, pair.second_response_id) for pair in pairs[:30]}
    assert len(lowest & firsts) < 25
