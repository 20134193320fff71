"""One strategy on one split: it spends a budget, and a model is fitted and tested at each step."""

import copy
import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from app.selection.arrays import FloatArray, IntArray
from app.selection.model.features import FeatureMap
from app.selection.simulation.held_out import hold_out
from app.selection.simulation.pool import Pool
from app.selection.simulation.world import World
from app.selection.strategies.learning import FIRST_LABELS
from app.selection.strategy import Strategy

HELD_OUT_SHARE = 0.3
_LEAST_STEP = 5
_GROWTH = 10
_SPLIT, _ANSWERS, _DRAWS = range(3)


@dataclass(frozen=True, slots=True)
class Split:
    """Which prompts are labelled, and which the model is tested on: indices into the world."""

    pool: IntArray
    held_out: IntArray


@dataclass(frozen=True, slots=True)
class Trace:
    """How well the model did on the held-out prompts at each budget."""

    held_out: IntArray
    """Indices into the world, ``(prompts,)``."""
    pairs: FloatArray
    """The number of pairs of each: ``(prompts,)``."""
    correct: FloatArray
    """Of those, how many the model orders as the majority: ``(budgets, prompts)``."""
    gold: FloatArray
    """Gold of the response it picks, 0 (worst) … 1 (best), NaN: none: ``(budgets, prompts)``."""


def split_world(world: World, seed: int, number: int) -> Split:
    """Split number ``number``, by prompt: the same for all strategies of a seed."""
    order = np.random.default_rng([seed, number, _SPLIT]).permutation(len(world.prompts))
    held_out = max(1, round(HELD_OUT_SHARE * len(order)))
    return Split(np.sort(order[held_out:]), np.sort(order[:held_out]))


def run_arm(
    world: World,
    feature_map: FeatureMap,
    strategy: Strategy,
    budgets: Sequence[int],
    *,
    seed: int,
    number: int,
) -> Trace:
    """Let the strategy spend the largest budget, and test the model at each.

    A strategy that learns plans again when labels have grown by a tenth, as the planner does.
    Prompts, their order and the annotators' answers depend on the seed and the split alone, so that
    all strategies are compared on the same world.
    """
    split = split_world(world, seed, number)
    pool = Pool(world, split.pool, feature_map, np.random.default_rng([seed, number, _ANSWERS]))
    held_out = hold_out(world, split.held_out, feature_map)
    rng = np.random.default_rng([seed, number, _DRAWS])
    scores = []
    for budget in budgets:
        _spend(pool, strategy, budget, rng)
        model = pool.model()
        assert model is not None  # every budget is at least one label
        scores.append(held_out.scores(model.posterior))
    correct, gold = map(np.stack, zip(*scores, strict=True))
    return Trace(held_out.places, held_out.pairs, correct, gold)


def _spend(pool: Pool, strategy: Strategy, budget: int, rng: np.random.Generator) -> None:
    while pool.labels < budget and pool.open_pairs:
        step = budget - pool.labels
        if strategy.learns:
            step = min(step, max(_LEAST_STEP, math.ceil(pool.labels / _GROWTH)))
        model = pool.model() if strategy.learns else None
        # Without learning, the same generator each time gives one plan, which is worked through.
        is_learning = strategy.learns and pool.labels >= FIRST_LABELS
        source = rng if is_learning else copy.deepcopy(rng)
        pool.ask(strategy, strategy.order(pool.blocks, model, source), step)
