"""One strategy on one split: it spends a budget, and a model is fitted and tested at each step."""

import copy
import math
from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np

from app.selection.arrays import IntArray
from app.selection.model.features import FeatureMap
from app.selection.simulation.held_out import hold_out
from app.selection.simulation.measures import Measure, Trace
from app.selection.simulation.pool import Pool
from app.selection.simulation.world import World
from app.selection.strategies.learning import FIRST_LABELS
from app.selection.strategy import Strategy

HELD_OUT_SHARE = 0.3
_LEAST_STEP = 5
_GROWTH = 10
_SPLIT, _ANSWERS, _DRAWS = range(3)
_ORDER = 9
"""Out of the way of ``_DRAWS + draws``."""


@dataclass(frozen=True, slots=True)
class Split:
    """Which prompts are labelled, and which the model is tested on: indices into the world."""

    pool: IntArray
    held_out: IntArray


def split_prompts(prompts: int, seed: int, number: int) -> Split:
    """Split number ``number``, by prompt: the same for all strategies of a seed."""
    order = np.random.default_rng([seed, number, _SPLIT]).permutation(prompts)
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
    draws: int = 0,
    labels_per_pair: int = 1,
) -> Trace:
    """Let the strategy spend the largest budget, and test the model at each.

    A strategy that learns plans again when labels have grown by a tenth, as the planner does.
    Prompts, their order and the annotators' answers depend on the seed and the split alone, so that
    all strategies are compared on the same world. ``draws`` tells the strategy's own draws apart;
    where every prompt has one pair, the order of prompts is all that there is to draw.
    """
    split = split_prompts(len(world.prompts), seed, number)
    answers = np.random.default_rng([seed, number, _ANSWERS])
    pool = Pool(
        world,
        split.pool,
        feature_map,
        answers,
        labels_per_pair=labels_per_pair,
        other_order=np.random.default_rng([seed, number, _ORDER, draws])
        if draws and (world.pairs == 1).all()
        else None,
    )
    held_out = hold_out(world, split.held_out, feature_map)
    rng = np.random.default_rng([seed, number, _DRAWS + draws])
    scores = []
    for budget in budgets:
        spend(pool, strategy, budget, rng)
        model = pool.model()
        assert model is not None  # every budget is at least one label
        scores.append(held_out.scores(model.posterior))
    sums = {measure: np.stack([each[measure] for each in scores]) for measure in Measure}
    return Trace(held_out.places, held_out.counts, sums)


def spend(pool: Pool, strategy: Strategy, budget: int, rng: np.random.Generator) -> None:
    """Let the strategy ask until there are ``budget`` labels, or no open pair is left."""
    # For `random` too: the order of prompts is no part of the comparison.
    strategy = replace(strategy, near_duplicates_last=True)
    while pool.labels < budget and pool.open_pairs:
        step = budget - pool.labels
        if strategy.learns:
            step = min(step, max(_LEAST_STEP, math.ceil(pool.labels / _GROWTH)))
        model = pool.model() if strategy.learns else None
        # Without learning, the same generator each time gives one plan, which is worked through.
        is_learning = strategy.learns and pool.labels >= FIRST_LABELS
        source = rng if is_learning else copy.deepcopy(rng)
        pool.ask(strategy, strategy.order(pool.blocks, model, source), step)
