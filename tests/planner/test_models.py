"""A real planner with strategies that need a model."""

import itertools
from collections import defaultdict
from collections.abc import Callable

import numpy as np
import pytest

from app.planner.project import MODEL_ARMS
from app.planner.queries.prompts import PlannablePrompt, read_candidates
from app.preference.service import fit_project
from app.selection.candidates import PromptBlock, blocks_of
from app.selection.model.posterior import binary_entropy, preference_probability
from app.selection.model.preference import PreferenceModel
from app.selection.pair_grid import pair_columns
from app.selection.registry import STRATEGIES
from app.storage.tables import Pair, Prompt
from tests.planner.planning import DIMENSIONS, PlanWorld, plan_all, unit, until

PROMPTS = 90
RESPONSES = 5
PAIRS = 10


@pytest.fixture
def rng() -> np.random.Generator:
    return np.random.default_rng(5)


async def add_and_label(world: PlanWorld, rng: np.random.Generator, labels: int) -> None:
    """Prompts, and labels of the first pairs of some."""
    await world.add_prompts(unit(rng, PROMPTS), unit(rng, PROMPTS, RESPONSES))
    await world.plan()
    await world.label((await world.pairs())[:labels], await liking(world))


async def liking(world: PlanWorld) -> Callable[[Pair], bool]:
    """Whether annotators prefer the first: they like what points along the first axis."""
    vectors = await world.vectors()

    def prefers_first(pair: Pair) -> bool:
        mine = vectors[pair.prompt_id]
        return bool(mine[pair.first_response_id][0] > mine[pair.second_response_id][0])

    return prefers_first


async def model_of(world: PlanWorld) -> PreferenceModel:
    async with world.sessions() as session:
        model = await fit_project(session, world.project_id, DIMENSIONS, arms=MODEL_ARMS)
    assert model is not None
    return model


async def blocks(world: PlanWorld, prompts: list[Prompt]) -> list[PromptBlock]:
    plannable = [
        PlannablePrompt(one.id, False, 0, False, one.order_key or 0, PAIRS) for one in prompts
    ]
    async with world.sessions() as session:
        found = await read_candidates(
            session, plannable, DIMENSIONS, with_prompts=True, with_words=True, ignore_unseen=True
        )
    return blocks_of(found)


def responses(pair: Pair) -> tuple[int, int]:
    return pair.first_response_id, pair.second_response_id


async def test_a_project_is_planned_with_a_model_of_its_labels(
    world: PlanWorld, rng: np.random.Generator
) -> None:
    await world.set_project(pairs_per_prompt=1)
    await add_and_label(world, rng, labels=55)
    await world.set_project(strategy="gap")

    await world.plan()

    model = await model_of(world)
    labelled = {pair.prompt_id for pair in await world.pairs() if pair.handed_out}
    fresh = [one for one in await world.prompts() if one.id not in labelled]
    [block] = await blocks(world, fresh)
    mean, variance = model.gaps(model.pair_differences(block))
    entropy = binary_entropy(preference_probability(mean, variance)).mean(axis=1)
    rewards = model.mean_rewards(block)
    wanted = []
    for row in np.argsort(-entropy):
        ids = block.response_ids[row]
        widest = sorted([int(ids[rewards[row].argmin()]), int(ids[rewards[row].argmax()])])
        wanted.append(tuple(widest))
    planned = [pair for pair in await world.pairs() if not pair.handed_out]
    assert [responses(pair) for pair in planned] == wanted
    # The shortlist shares out the places that its prompts have in the uniform order.
    assert [pair.position for pair in planned] == sorted(one.order_key or 0.0 for one in fresh)
    assert len(labelled) == 55
    assert await world.miscounted() == []


async def test_auto_is_planned_with_what_the_labels_say_of_the_size_of_groups(
    world: PlanWorld, rng: np.random.Generator
) -> None:
    await world.set_project(pairs_per_prompt=1)
    words = rng.integers(1, 300, (PROMPTS, RESPONSES))
    await world.add_prompts(unit(rng, PROMPTS), unit(rng, PROMPTS, RESPONSES), words)
    await world.plan()
    await world.label((await world.pairs())[:55], await liking(world))
    await world.set_project(strategy="auto")

    await world.plan()

    planned = [pair for pair in await world.pairs() if not pair.handed_out]
    mine = {pair.prompt_id for pair in planned}
    fresh = [one for one in await world.prompts() if one.id in mine]
    [block] = await blocks(world, fresh)
    [order] = STRATEGIES["auto"].order([block], await model_of(world), rng)
    first, second = pair_columns(RESPONSES)
    best = order.pair_keys.argmin(axis=1)
    ids = np.take_along_axis(block.response_ids, np.stack([first[best], second[best]], 1), 1)
    assert len(planned) == PROMPTS - 55
    assert {responses(pair) for pair in planned} == {(one, other) for one, other in ids.tolist()}


async def test_the_planners_model_never_sees_exploration_labels(
    world: PlanWorld, rng: np.random.Generator
) -> None:
    await world.set_project(exploration=1, pairs_per_prompt=2, strategy="gap")
    await world.add_prompts(unit(rng, PROMPTS), unit(rng, PROMPTS, 3))
    await world.plan()
    await world.label(await world.pairs("exploration"))

    await world.plan()

    vectors = await world.vectors()
    explored = {pair.prompt_id: responses(pair) for pair in await world.pairs("exploration")}
    assert len(explored) == PROMPTS
    for pair in await world.pairs():
        mine = vectors[pair.prompt_id]
        left = set(itertools.combinations(sorted(mine), 2)) - {explored[pair.prompt_id]}
        assert responses(pair) == min(left, key=lambda two: float(mine[two[0]] @ mine[two[1]]))


async def test_the_plan_is_renewed_when_labels_have_grown(
    world: PlanWorld, rng: np.random.Generator
) -> None:
    await add_and_label(world, rng, labels=30)
    await world.set_project(strategy="uncertain")
    async with world.planner() as planner:
        await plan_all(planner)
        before = [pair.id for pair in await world.pairs()]
        more = [pair for pair in await world.pairs() if not pair.handed_out][:30]
        await world.label(more, await liking(world))

        async def changed() -> bool:
            await planner.take_turns()
            return [pair.id for pair in await world.pairs()] != before

        await until(changed)

    assert await world.miscounted() == []


async def test_coverage_ranks_all_prompts_of_the_shortlist_together(
    world: PlanWorld, rng: np.random.Generator
) -> None:
    await world.set_project(strategy="coverage", pairs_per_prompt=1)
    async with world.planner() as planner:
        for part in (40, 40):
            await world.add_prompts(unit(rng, part), unit(rng, part, RESPONSES))
            await plan_all(planner)
        [block] = await blocks(world, await world.prompts())
        [order] = STRATEGIES["coverage"].order([block], None, rng)
        wanted: list[int] = block.prompt_ids[np.argsort(order.prompt_keys)].tolist()

        async def ranked() -> bool:
            await planner.take_turns()
            return [pair.prompt_id for pair in await world.pairs()] == wanted

        await until(ranked)


STRATEGIES_IN_TURN = (
    "coverage",
    "uncertain",
    "dissimilar-global",
    "thompson",
    "random",
    "bald-coverage",
    "optimistic",
    "auto",
)


async def test_a_projects_strategy_can_be_changed_at_any_time_and_back(
    world: PlanWorld, rng: np.random.Generator
) -> None:
    await world.set_project(exploration=0.2)
    await add_and_label(world, rng, labels=50)
    pairs = [pair for pair in await world.pairs() if not pair.handed_out]
    held = pairs[:5]
    async with world.sessions.begin() as session:
        for pair in held:
            found = await session.get_one(Pair, pair.id)
            found.held, found.handed_out = 1, True
    exploration = [(pair.id, pair.position) for pair in await world.pairs("exploration")]
    first_plan = await untouched(world)
    async with world.planner() as planner:
        for name in STRATEGIES_IN_TURN:
            await world.set_project(strategy=name)
            await plan_all(planner)
            now = await untouched(world)
            assert {pair.strategy for pair in now} == {name}
            assert [responses(pair) for pair in now] != [responses(pair) for pair in first_plan]
        await world.set_project(strategy="dissimilar")
        await plan_all(planner)

    everything = await world.pairs()
    assert [place(pair) for pair in await untouched(world)] == [place(pair) for pair in first_plan]
    assert {pair.id for pair in held} <= {pair.id for pair in everything if pair.held}
    assert exploration == [(pair.id, pair.position) for pair in await world.pairs("exploration")]
    assert await world.miscounted() == []
    of_prompt: dict[int, list[tuple[int, int]]] = defaultdict(list)
    for pair in everything + await world.pairs("exploration"):
        of_prompt[pair.prompt_id].append(responses(pair))
    assert all(len(set(mine)) == len(mine) == PAIRS for mine in of_prompt.values())


async def untouched(world: PlanWorld) -> list[Pair]:
    return [pair for pair in await world.pairs() if not pair.handed_out]


def place(pair: Pair) -> tuple[tuple[int, int], float]:
    return responses(pair), pair.position
