"""From a strategy's keys to pairs and their positions in the plan."""

from collections.abc import Sequence
from dataclasses import replace
from typing import Final

import numpy as np
from numpy.typing import NDArray

from app.selection.arrays import BoolArray, FloatArray, IntArray
from app.selection.candidates import PromptBlock
from app.selection.cost import PairValue, keys_per_second
from app.selection.strategy import PairOrder, Strategy

_ROUND_BITS = 12
"""A prompt has at most 64·63/2 = 2016 pairs, so its rounds fit in 12 bits."""
_LAST_TIER = float(2 ** (_ROUND_BITS + 1))
_ROUND_SPAN = 2.0 * _LAST_TIER
FIRST_ROUND: Final = 0.0
"""Where the positions of the first round begin; those of later rounds are lower."""


def next_pairs(
    order: PairOrder, taken: BoolArray, limit: int, rounds: IntArray | None = None
) -> IntArray:
    """Each prompt's best pairs that are not taken: columns, ``(prompts, limit)``; -1: none left.

    Args:
        order: the strategy's order.
        taken: pairs that are or were in the plan, ``(prompts, pairs)``.
        limit: how many of each prompt.
        rounds: the rounds of the pairs, ``(prompts, pairs)``: those of later ones come first.
    """
    keys = np.where(taken, np.inf, order.pair_keys)
    if rounds is not None:
        best = np.lexsort((keys, np.where(taken, np.inf, -rounds)), axis=1)[:, :limit]
    elif limit == 1:
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
    best = np.maximum(next_pairs(order, block.taken, 1, block.pair_rounds), 0)
    seconds = np.asarray(block.expected_seconds, dtype=np.float64)
    return np.asarray(np.take_along_axis(seconds, best, axis=1)[:, 0])


def shortlist_places(
    strategy: Strategy, blocks: Sequence[PromptBlock], orders: Sequence[PairOrder]
) -> list[PairOrder]:
    """Fit the orders of a strategy that ranks prompts into the uniform order of all prompts.

    The prompts of a shortlist exchange their keys of the uniform order: the best prompt gets the
    lowest. So shortlists follow each other, and prompts outside them keep their places. Keys are
    exchanged among prompts whose next pairs come next together, near-duplicates and others apart.
    """
    if not strategy.ranks_prompts or not blocks:
        return list(orders)
    tiers = np.concatenate([_next_turn(block) + block.near_duplicate for block in blocks])
    uniform = np.concatenate([block.order_keys for block in blocks])
    ranks = _prompt_ranks(blocks, orders)
    keys = np.empty(len(ranks))
    keys[np.lexsort((ranks, tiers))] = uniform[np.lexsort((uniform, tiers))]
    return _with_prompt_keys(orders, keys)


def _next_turn(block: PromptBlock) -> FloatArray:
    """Where the next pair of each prompt comes, but for its key: ``(prompts,)``."""
    turns = 2.0 * block.rounds
    rounds = block.pair_rounds
    if rounds is not None:
        following = np.where(block.taken, 1, rounds).max(axis=1)
        planned = (block.taken & (rounds == following[:, None])).sum(axis=1)
        turns = np.where(following > 1, _ahead(following) + 2.0 * planned, turns)
    return turns


def _ahead(rounds: IntArray) -> FloatArray:
    """How far the pairs of a round come before those of the first: all of them do."""
    return -_ROUND_SPAN * (rounds - 1)


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
    change when something arrives later. Pairs of later rounds of responses come before all others,
    at positions below zero.

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
    columns = np.maximum(chosen, 0)
    turns = block.rounds[:, None] + np.arange(chosen.shape[1])
    ahead: FloatArray | float = 0.0
    if block.pair_rounds is not None:
        rounds = np.take_along_axis(block.pair_rounds, columns, axis=1)
        ahead = _ahead(rounds)
        turns = np.where(rounds > 1, _turns_within(rounds, block), turns)
    if strategy.collection_wide:
        keys = np.take_along_axis(order.pair_keys, columns, axis=1)
        return base + ahead + (1.0 + keys.astype(np.float64)) / 2
    aside = block.near_duplicate[:, None] & strategy.near_duplicates_last
    return base + ahead + 2.0 * turns + aside + order.prompt_keys[:, None].astype(np.float64)


def _turns_within(rounds: IntArray, block: PromptBlock) -> IntArray:
    """How many pairs of the same round come before each chosen one: ``(prompts, n)``.

    ``rounds`` are those of the chosen pairs.
    """
    assert block.pair_rounds is not None
    turns = np.empty_like(rounds)
    for place in range(rounds.shape[1]):
        its_own = rounds[:, place, None]
        planned = (block.taken & (block.pair_rounds == its_own)).sum(axis=1)
        turns[:, place] = planned + (rounds[:, :place] == its_own).sum(axis=1)
    return turns


def earliest_position(
    *, of_round: int, turn: int, near_duplicate: bool, order_key: float, after_all_others: bool
) -> float:
    """The position of a prompt's next pair, with a strategy that goes round by round.

    Args:
        of_round: the round of responses that the next pair is of.
        turn: how many pairs of the prompt are planned; after the first round only those of the
            same round count.
        near_duplicate: whether the prompt comes last in its turn.
        order_key: of the prompt.
        after_all_others: as for ``plan_positions``.
    """
    base = _LAST_TIER if after_all_others else 0.0
    return base - _ROUND_SPAN * (of_round - 1) + 2.0 * turn + near_duplicate + order_key
