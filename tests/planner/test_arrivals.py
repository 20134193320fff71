"""What is fixed of a prompt when it arrives in the plan."""

import itertools
from collections import Counter

import numpy as np
import pytest
from sqlalchemy import delete

from app.planner.index import delete_index
from app.storage.tables import Prompt
from tests.planner.planning import DIMENSIONS, PlanWorld, near, rows_of, unit


@pytest.fixture
def rng() -> np.random.Generator:
    return np.random.default_rng(5)


async def test_a_prompt_joins_the_group_of_the_nearest_earlier_one_or_begins_its_own(
    world: PlanWorld, rng: np.random.Generator
) -> None:
    first, second = unit(rng, 2)
    prompts = np.stack([first, second, near(first, 0.97, rng), near(second, 0.93, rng)])
    ids = await world.add_prompts(prompts, unit(rng, 4, 2))
    await world.plan()
    later = np.stack(
        [near(first, 0.999, rng), near(second, 0.9505, rng), near(second, 0.9495, rng)]
    )
    more = await world.add_prompts(later, unit(rng, 3, 2))

    await world.plan()

    groups = {one.id: one.group_id for one in await world.prompts()}
    assert [groups[one] for one in ids] == [ids[0], ids[1], ids[0], ids[3]]
    assert groups[more[0]] == ids[0]
    assert groups[more[1]] in {ids[1], ids[3]}
    assert {one.id for one in await world.prompts() if one.near_duplicate} == {
        one for one, group in groups.items() if group != one
    }


async def test_groups_are_never_merged_by_a_prompt_between_them(
    world: PlanWorld, rng: np.random.Generator
) -> None:
    first = unit(rng, 1)[0]
    second = near(first, 0.93, rng)
    between = (first + second) / np.linalg.norm(first + second)
    ids = await world.add_prompts(np.stack([first, second, between]), unit(rng, 3, 2))

    await world.plan()

    groups = [one.group_id for one in await world.prompts()]
    assert groups[:2] == ids[:2]
    assert groups[2] in ids[:2]


async def test_many_equal_prompts_make_one_group(
    world: PlanWorld, rng: np.random.Generator
) -> None:
    ids = await world.add_prompts(np.repeat(unit(rng, 1), 1500, axis=0), unit(rng, 1500, 2))

    await world.plan()

    assert {one.group_id for one in await world.prompts()} == {ids[0]}
    assert await world.unplanned() == 0


async def test_what_is_fixed_stays_and_comes_out_the_same_without_the_index_file(
    world: PlanWorld, rng: np.random.Generator
) -> None:
    await world.set_project(exploration=0.5)
    base = unit(rng, 60)
    copies = np.stack([near(one, 0.98, rng) for one in base])
    await world.add_prompts(base, unit(rng, 60, 3))
    await world.plan()
    before = rows_of(await world.prompts())
    delete_index(world.data_dir, world.project_id)
    await world.add_prompts(copies, unit(rng, 60, 3))

    await world.plan()

    after = rows_of(await world.prompts())
    assert after[:60] == before
    assert [row[1] for row in after[60:]] == [row[0] for row in before]


async def test_a_deleted_prompt_is_no_more_anybodys_near_duplicate(
    world: PlanWorld, rng: np.random.Generator
) -> None:
    vectors = unit(rng, 2)
    ids = await world.add_prompts(vectors, unit(rng, 2, 2))
    await world.plan()
    async with world.sessions.begin() as session:
        await session.execute(delete(Prompt).where(Prompt.id == ids[0]))
    more = await world.add_prompts(vectors, unit(rng, 2, 2))

    await world.plan()

    groups = {one.id: one.group_id for one in await world.prompts()}
    assert groups[more[0]] == more[0]
    assert groups[more[1]] == ids[1]


async def test_exploration_prompts_get_one_uniform_pair_with_its_propensity(
    world: PlanWorld, rng: np.random.Generator
) -> None:
    await world.set_project(exploration=0.5, pairs_per_prompt=1)
    await world.add_prompts(unit(rng, 600), unit(rng, 600, 3))

    await world.plan()

    prompts = {one.id: one for one in await world.prompts()}
    exploring = {one.id for one in prompts.values() if one.exploration}
    pairs = await world.pairs("exploration")
    # Binomial, standard deviation 12.
    assert abs(len(exploring) - 300) < 50
    assert Counter(pair.prompt_id for pair in pairs) == Counter(exploring)
    assert {pair.propensity for pair in pairs} == {1 / 3}
    assert [pair.position for pair in pairs] == [prompts[one.prompt_id].order_key for one in pairs]
    vectors = await world.vectors()
    columns: Counter[int] = Counter()
    for pair in pairs:
        responses = vectors[pair.prompt_id]
        drawn = (pair.first_response_id, pair.second_response_id)
        columns[list(itertools.combinations(sorted(responses), 2)).index(drawn)] += 1
        assert pair.similarity == pytest.approx(
            float(responses[drawn[0]] @ responses[drawn[1]]), abs=1e-6
        )
    # Chi-squared with 2 degrees of freedom: 18 has a probability of 1.2e-4.
    expected = len(pairs) / 3
    assert sum((columns[one] - expected) ** 2 / expected for one in range(3)) < 18
    assert {pair.prompt_id for pair in await world.pairs()} == prompts.keys() - exploring
    assert await world.miscounted() == []


async def test_a_project_whose_dimensions_are_not_known_yet_is_left_alone(
    world: PlanWorld,
) -> None:
    await world.set_project(embedding_dimensions=None, embedding_source=None)

    await world.plan()

    assert DIMENSIONS
    assert not (world.data_dir / "index").exists()
