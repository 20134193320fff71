from dataclasses import replace

import numpy as np
import pytest

from app.selection.registry import STRATEGIES
from app.selection.simulation.arms import AGAIN, BASELINE, PLAIN, WITHOUT_STYLE
from app.selection.simulation.measures import Measure, means_of
from app.selection.simulation.pool import Pool
from app.selection.simulation.run import run_arm, split_prompts
from app.selection.simulation.simulate import (
    Plan,
    Progress,
    budgets_of,
    feature_map_of,
    simulate,
)
from app.selection.simulation.world import LabelledPrompt, World, make_world
from tests.selection.simulation.planted import planted_world


def _accuracy(world: World, name: str, budget: int, splits: int = 12) -> float:
    feature_map = feature_map_of(world)
    traces = [
        run_arm(world, feature_map, STRATEGIES[name], [budget], seed=0, number=number)
        for number in range(splits)
    ]
    return float(means_of(traces)[Measure.ACCURACY][0])


def test_where_all_responses_are_honest_the_most_different_teach_most() -> None:
    worlds = [planted_world(responses=6, seed=seed) for seed in range(4)]

    accuracy = {
        name: np.mean([_accuracy(world, name, 40, splits=30) for world in worlds])
        for name in ("random", "dissimilar", "similar")
    }

    assert accuracy["dissimilar"] > accuracy["random"] + 0.01
    assert accuracy["similar"] < accuracy["random"] - 0.01


def test_where_some_are_outliers_the_most_different_teach_nothing() -> None:
    world = planted_world(responses=16, outliers=2)

    accuracy = {
        name: _accuracy(world, name, 50) for name in ("random", "dissimilar", "dissimilar-typical")
    }

    assert accuracy["dissimilar"] < accuracy["random"] - 0.05
    assert accuracy["dissimilar-typical"] > accuracy["random"]


@pytest.mark.parametrize("outliers", [0, 2])
def test_auto_finds_what_teaches_with_outliers_and_without(outliers: int) -> None:
    world = planted_world(responses=12, outliers=outliers)

    accuracy = {name: _accuracy(world, name, 120, splits=20) for name in ("random", "auto")}

    assert accuracy["auto"] > accuracy["random"]


def test_with_enough_labels_the_planted_direction_is_found() -> None:
    world = planted_world(prompts=120, strength=30.0, votes=1)

    assert _accuracy(world, "random", 600, splits=2) > 0.85


def test_prompts_that_nearly_repeat_earlier_ones_are_asked_last() -> None:
    honest = planted_world(prompts=20).prompts
    world = make_world([*honest, *honest])
    everywhere = np.arange(40)
    pool = Pool(world, everywhere, feature_map_of(world), np.random.default_rng(0))
    strategy = STRATEGIES["dissimilar"]

    pool.ask(strategy, strategy.order(pool.blocks, None, np.random.default_rng(0)), 20)

    assert world.near_duplicate.tolist() == [False] * 20 + [True] * 20
    [block] = pool.blocks
    assert block.rounds.tolist() == [1] * 20 + [0] * 20


def test_a_pair_is_asked_once_and_only_if_it_has_votes() -> None:
    world = planted_world(prompts=10, responses=4)
    silent = [
        LabelledPrompt(each.embedding, each.responses, each.votes * (np.arange(6) % 2)[:, None])
        for each in world.prompts
    ]
    world = make_world(silent)
    pool = Pool(world, np.arange(10), feature_map_of(world), np.random.default_rng(0))
    strategy = STRATEGIES["random"]

    for _ in range(4):
        pool.ask(strategy, strategy.order(pool.blocks, None, np.random.default_rng(0)), 10)

    assert pool.labels == 30
    assert pool.open_pairs == 0
    model = pool.model()
    assert model is not None
    assert model.labels == 30
    assert model.labelled_prompts.shape[0] == 10


def test_a_pair_gets_as_many_of_its_votes_as_it_may_and_has() -> None:
    world = planted_world(prompts=8, responses=3, votes=3)
    feature_map, strategy = feature_map_of(world), STRATEGIES["random"]

    def labels(labels_per_pair: int, count: int) -> tuple[int, int]:
        rng = np.random.default_rng(0)
        pool = Pool(world, np.arange(8), feature_map, rng, labels_per_pair=labels_per_pair)
        before = pool.open_pairs
        pool.ask(strategy, strategy.order(pool.blocks, None, np.random.default_rng(0)), count)
        return pool.labels, before - pool.open_pairs

    assert labels(1, 6) == (6, 6)
    assert labels(2, 6) == (6, 3)
    assert labels(2, 5) == (5, 3)
    assert labels(9, 100) == (3 * 24, 24)


@pytest.mark.parametrize("responses", [2, 4])
def test_random_against_itself_asks_other_pairs(responses: int) -> None:
    world = planted_world(prompts=60, responses=responses)
    feature_map = feature_map_of(world)

    def losses(draws: int) -> list[float]:
        trace = run_arm(
            world, feature_map, STRATEGIES["random"], [12, 20], seed=0, number=0, draws=draws
        )
        return means_of([trace])[Measure.LOG_LOSS]

    assert losses(0) == losses(0)
    assert losses(0) != losses(1)


def test_splits_part_the_prompts_and_differ() -> None:
    splits = [split_prompts(40, 5, number) for number in range(3)]

    for split in splits:
        assert sorted([*split.pool, *split.held_out]) == list(range(40))
        assert len(split.held_out) == 12
    assert len({tuple(split.held_out) for split in splits}) == 3


def test_budgets_end_with_half_of_the_smallest_pool() -> None:
    world = planted_world(prompts=60, responses=6)

    assert budgets_of(world.pairs, Plan([], 3, 0)) == (12, 25, 50, 75, 100, 150, 200, 315)
    few = Plan([], 3, 0, most_labels=110)
    assert budgets_of(world.pairs, few) == (12, 25, 50, 75, 110)


@pytest.mark.e2e
def test_the_same_seed_gives_the_same_report_however_many_processes_there_are() -> None:
    world = planted_world(prompts=30)
    told: list[Progress] = []
    plan = Plan(["auto", "thompson"], splits=2, seed=7)

    one, two = (
        simulate(world, plan, processes=processes, on_progress=told.append) for processes in (1, 2)
    )

    assert one == two
    arms = [PLAIN, WITHOUT_STYLE, BASELINE, AGAIN, "auto", "thompson"]
    assert list(one.arms) == arms
    assert [each.done for each in told] == 2 * list(range(1, plan.runs + 1))
    assert sorted(each.finished for each in told if each.finished) == sorted(2 * arms)


def test_a_rule_that_no_project_can_use_is_measured_like_a_strategy() -> None:
    rules = {"unheard-of": replace(STRATEGIES["similar"], name="unheard-of")}
    plan = Plan(["similar", "dissimilar", "unheard-of"], splits=2, seed=0)

    arms = simulate(planted_world(prompts=20), plan, processes=1, rules=rules).arms

    assert arms["unheard-of"] == arms["similar"] != arms["dissimilar"]


def test_a_file_of_few_prompts_has_a_report() -> None:
    report = simulate(planted_world(prompts=6), Plan([], splits=1, seed=0), processes=1)

    for measured in report.arms[AGAIN].values():
        for each in (measured.times.estimate, *measured.values, *measured.differences):
            assert np.isfinite([each.mean, each.low, each.high]).all()


def test_too_little_to_simulate_is_told() -> None:
    plan = Plan([], splits=2, seed=0)
    with pytest.raises(ValueError, match="fewer than 4 prompts"):
        simulate(planted_world(prompts=3), plan, processes=1)
    with pytest.raises(ValueError, match="only 10 pairs"):
        budgets_of(planted_world(prompts=15, responses=2).pairs, plan)
    with pytest.raises(ValueError, match="no prompt has a pair"):
        make_world([])
