"""From a strategy's keys to pairs and their positions in the plan."""

from collections.abc import Sequence
from dataclasses import replace

import numpy as np
from numpy.typing import NDArray

from app.selection.arrays import BoolArray, FloatArray, IntArray
from app.selection.candidates import PromptBlock
from app.selection.cost import PairValue, keys_per_second
from app.selection.strategy import PairOrder, Strategy

_ROUND_BITS = 12
"""A prompt has at most 64·63/2 = 2016 pairs, so its rounds fit in 12 bits."""
_LAST_TIER = float(2 ** (_ROUND_BITS + 1))


def next_pairs(order: PairOrder, taken: BoolArray, limit: int) -> IntArray:
    """Each prompt's best pairs that are not taken: columns, ``(prompts, limit)``; -1: none left."""
    keys = np.where(taken, np.inf, order.pair_keys)
    if limit == 1:
        best = keys.argmin(axis=1)[:, None]
    else:
        best = np.argsort(keys, axis=1, kind="stable")[:, :limit]
    found = np.take_along_axis(keys, best, axis=1) < np.inf
    chosen = np.full((len(keys), limit), -1, dtype=np.int64)
    chosen[:, : best.shape[1]] = np.where(found, best, -1)
    return chosen


def orders_per_cost(
    strategy: Strategy, blocks: Sequence[PromptBlock], orders: Sequence[PairOrder]
) -> list[PairOrder]:
    """The orders by value per expected second; blocks without expected costs keep their order.

    Within a prompt (or the collection, for a collection-wide strategy) by the strategy's ``value``
    of its keys. If the strategy ranks prompts, the i-th prompt is worth 1/i and costs as much as
    its best pair; a uniform order of prompts is kept.
    """
    if strategy.value is None:
        return list(orders)
    priced = [
        _pairs_per_cost(strategy.value, block, order)
        for block, order in zip(blocks, orders, strict=True)
    ]
    if not strategy.ranks_prompts or any(block.expected_seconds is None for block in blocks):
        return priced
    seconds = np.concatenate(
        [_seconds_of_best(block, order) for block, order in zip(blocks, priced, strict=True)]
    )
    worth = 1.0 / (1.0 + _prompt_ranks(blocks, priced).astype(np.float64))
    ranked = _with_prompt_keys(priced, keys_per_second(worth, seconds))
    return _with_prompt_keys(priced, _prompt_ranks(blocks, ranked) / len(worth))


def _pairs_per_cost(value: PairValue, block: PromptBlock, order: PairOrder) -> PairOrder:
    if block.expected_seconds is None:
        return order
    keys = keys_per_second(value(order.pair_keys), block.expected_seconds)
    return replace(order, pair_keys=keys)


def _seconds_of_best(block: PromptBlock, order: PairOrder) -> FloatArray:
    """The cost of each prompt's best open pair: ``(prompts,)``."""
    assert block.expected_seconds is not None
    best = np.maximum(next_pairs(order, block.taken, 1), 0)
    seconds = np.asarray(block.expected_seconds, dtype=np.float64)
    return np.asarray(np.take_along_axis(seconds, best, axis=1)[:, 0])


def shortlist_places(
    strategy: Strategy, blocks: Sequence[PromptBlock], orders: Sequence[PairOrder]
) -> list[PairOrder]:
    """Fit the orders of a strategy that ranks prompts into the uniform order of all prompts.

    The prompts of a shortlist exchange their keys of the uniform order: the best prompt gets the
    lowest. So shortlists follow each other, and prompts outside them keep their places. Keys are
    exchanged within a round, near-duplicates and others apart.
    """
    if not strategy.ranks_prompts or not blocks:
        return list(orders)
    tiers = np.concatenate([2 * block.rounds + block.near_duplicate for block in blocks])
    uniform = np.concatenate([block.order_keys for block in blocks])
    ranks = _prompt_ranks(blocks, orders)
    keys = np.empty(len(ranks))
    keys[np.lexsort((ranks, tiers))] = uniform[np.lexsort((uniform, tiers))]
    return _with_prompt_keys(orders, keys)


def _prompt_ranks(blocks: Sequence[PromptBlock], orders: Sequence[PairOrder]) -> IntArray:
    """Each prompt's rank by key, ties by id, over all blocks concatenated."""
    ids = np.concatenate([block.prompt_ids for block in blocks])
    keys = np.concatenate([order.prompt_keys for order in orders])
    ranks = np.empty(len(ids), dtype=np.int64)
    ranks[np.lexsort((ids, keys))] = np.arange(len(ids))
    return ranks


def _with_prompt_keys(orders: Sequence[PairOrder], keys: NDArray[np.float64]) -> list[PairOrder]:
    sizes = np.cumsum([len(order.prompt_keys) for order in orders])[:-1]
    return [
        replace(order, prompt_keys=part)
        for order, part in zip(orders, np.split(keys, sizes), strict=True)
    ]


def plan_positions(
    strategy: Strategy,
    block: PromptBlock,
    order: PairOrder,
    chosen: IntArray,
    *,
    after_all_others: bool,
) -> FloatArray:
    """The positions of chosen pairs in the plan: low positions are handed out first.

    Prompts go round by round; within a round by their keys, near-duplicates last if the strategy
    says so. A collection-wide strategy orders pairs by their own keys, cosines. A position does not
    change when something arrives later.

    Args:
        strategy: the strategy that gave ``order``.
        block: the prompts.
        order: the strategy's order of them.
        chosen: columns of pairs, ``(prompts, n)``, in the order of their rounds.
        after_all_others: whether they come after all other pairs (as the later pairs of exploration
            prompts do).

    Returns:
        ``(prompts, n)``; meaningless where ``chosen`` is -1.
    """
    base = _LAST_TIER if after_all_others else 0.0
    if strategy.collection_wide:
        keys = np.take_along_axis(order.pair_keys, np.maximum(chosen, 0), axis=1)
        return base + (1.0 + keys.astype(np.float64)) / 2
    rounds = block.rounds[:, None] + np.arange(chosen.shape[1])
    aside = block.near_duplicate[:, None] & strategy.near_duplicates_last
    return base + 2.0 * rounds + aside + order.prompt_keys[:, None].astype(np.float64)


def earliest_position(
    *, pairs_planned: int, near_duplicate: bool, order_key: float, after_all_others: bool
) -> float:
    """The position of a prompt's next pair, with a strategy that goes round by round."""
    return (
        (_LAST_TIER if after_all_others else 0.0) + 2.0 * pairs_planned + near_duplicate + order_key
    )
