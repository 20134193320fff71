"""``auto``: the most different pairs of random groups, with group sizes that follow the labels.

The most different pair of a prompt teaches most, unless its answer is predictable. If a few
responses are outliers, the most different pairs all contain one, annotators always prefer the other
response, and the labels say nothing about ordinary pairs. Therefore:

- before ``FIRST_LABELS`` labels: groups of ``FIRST_SIZE``. Prompts with ``MANY_RESPONSES`` or more
  get pairs of ``random``, because the most different pair of a group usually contains an outlier
  there, and the first labels must cover ordinary responses too;
- after that: groups of the largest of ``SIZES`` whose most different pairs the model finds, on
  average, at least ``LEAST_OPEN`` times as uncertain (by ``4p(1 − p)``) as a random pair. Clear
  outliers are ranked last.

If all different pairs are predictable, this ends at groups of two. One size is chosen for all
prompts, from the first ``SAMPLED`` of each number of responses.

A model without the side feature of typicality cannot tell what is predictable: with such a model,
pairs are random.
"""

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from app.selection.arrays import Float64Array
from app.selection.candidates import PromptBlock
from app.selection.model.features import FeatureSet
from app.selection.model.posterior import sigmoid
from app.selection.model.preference import PreferenceModel
from app.selection.pair_grid import pair_columns
from app.selection.strategies import random
from app.selection.strategies.learning import FIRST_LABELS
from app.selection.strategies.random_groups import first_choices, group_keys, narrowness
from app.selection.strategy import PairOrder, Strategy

RANDOM_SIZE = 2
FIRST_SIZE = 4
MANY_RESPONSES = 12
SAMPLED = 512
LEAST_OPEN = 0.95
SIZES = (8, 6, 4, 3)
"""Up to 11 responses are one group of 8. Larger groups brought nothing on any data."""


def order(
    blocks: list[PromptBlock],
    model: PreferenceModel | None,
    rng: np.random.Generator,
) -> list[PairOrder]:
    """The most different pairs of random groups, group by group."""
    if model is None or model.labels < FIRST_LABELS:
        return _without_labels(blocks, rng)
    size = group_size(blocks, model)
    return [PairOrder(group_keys(block, size), block.order_keys) for block in blocks]


def _without_labels(blocks: list[PromptBlock], rng: np.random.Generator) -> list[PairOrder]:
    return [
        PairOrder(group_keys(block, FIRST_SIZE), block.order_keys)
        if block.responses < MANY_RESPONSES
        else at_random
        for block, at_random in zip(blocks, random.order(blocks, None, rng), strict=True)
    ]


def group_size(blocks: Sequence[PromptBlock], model: PreferenceModel) -> int:
    """How many responses a group may have, according to the model."""
    has_typicality = model.feature_map.feature_set is not FeatureSet.VECTORS
    if not blocks or not has_typicality:
        return RANDOM_SIZE
    sampled = [_first_prompts(block) for block in blocks]
    openness = [_openness(block, model) for block in sampled]
    narrow = [narrowness(block) for block in sampled]
    least = LEAST_OPEN * _mean([each.mean(axis=1) for each in openness])
    for size in SIZES:
        chosen = [
            _of_choices(block, each, low, size)
            for block, each, low in zip(sampled, openness, narrow, strict=True)
        ]
        if _mean(chosen) >= least:
            return size
    return RANDOM_SIZE


def _first_prompts(block: PromptBlock) -> PromptBlock:
    """The prompts that come first in the uniform random order."""
    if len(block.prompt_ids) <= SAMPLED:
        return block
    rows = np.sort(np.argsort(block.order_keys, kind="stable")[:SAMPLED])
    return block.select(rows)


def _openness(block: PromptBlock, model: PreferenceModel) -> Float64Array:
    """4p(1 − p) of every pair, 1 if p is ½ and 0 if p is 0 or 1: ``(prompts, pairs)``."""
    first, second = pair_columns(block.responses)
    rewards = model.mean_rewards(block)
    p = sigmoid(rewards[:, first] - rewards[:, second])
    return 4 * p * (1 - p)


def _of_choices(
    block: PromptBlock, openness: Float64Array, narrow: NDArray[np.float32], size: int
) -> Float64Array:
    """The mean over the first pairs of groups of that size: ``(prompts,)``."""
    columns = first_choices(block, narrow, size)
    chosen = np.take_along_axis(openness, np.maximum(columns, 0), axis=1)
    is_pair = columns >= 0
    return np.asarray((chosen * is_pair).sum(axis=1) / is_pair.sum(axis=1))


def _mean(parts: Sequence[Float64Array]) -> float:
    return float(np.concatenate(parts).mean())


STRATEGY = Strategy(
    "auto",
    "the most different of random groups of responses, as large as the labels allow",
    order,
    learns=True,
    rank=30,
)
