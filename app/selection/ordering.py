"""From a strategy's keys to pairs and their places in the plan."""

import numpy as np

from app.selection.arrays import BoolArray, FloatArray, IntArray
from app.selection.candidates import PromptBlock
from app.selection.strategy import PairOrder, Strategy

_ROUND_BITS = 12
"""A prompt has at most 64·63/2 = 2016 pairs, so its rounds fit in 12 bits."""
_LAST_TIER = float(2 ** (_ROUND_BITS + 1))


def rank_pairs(order: PairOrder) -> IntArray:
    """Columns of each prompt's pairs, best first, ties by id: ``(prompts, pairs)``."""
    return np.argsort(order.pair_keys, axis=1, kind="stable")


def next_pairs(order: PairOrder, taken: BoolArray, limit: int) -> IntArray:
    """Each prompt's best pairs that are not taken: columns, ``(prompts, limit)``, -1 where none."""
    keys = np.where(taken, np.inf, order.pair_keys)
    if limit == 1:
        best = keys.argmin(axis=1)[:, None]
    else:
        best = np.argsort(keys, axis=1, kind="stable")[:, :limit]
    found = np.take_along_axis(keys, best, axis=1) < np.inf
    chosen = np.full((len(keys), limit), -1, dtype=np.int64)
    chosen[:, : best.shape[1]] = np.where(found, best, -1)
    return chosen


def plan_positions(
    strategy: Strategy, block: PromptBlock, order: PairOrder, chosen: IntArray, *, last: bool
) -> FloatArray:
    """Where chosen pairs stand in the plan: low positions are handed out first.

    Round after round of prompts, near-duplicates last within a round (where the strategy says so),
    then by the prompts' keys; a collection-wide strategy by the pairs' own keys, cosines. A
    position never changes, whatever arrives later.

    Args:
        strategy: the strategy that gave ``order``.
        block: the prompts.
        order: the strategy's order of them.
        chosen: columns of pairs, ``(prompts, n)``, in the order of their rounds.
        last: after everything that is not last (the later pairs of exploration prompts).

    Returns:
        ``(prompts, n)``; of no meaning where ``chosen`` is -1.
    """
    base = _LAST_TIER if last else 0.0
    if strategy.collection_wide:
        keys = np.take_along_axis(order.pair_keys, np.maximum(chosen, 0), axis=1)
        return base + (1.0 + keys.astype(np.float64)) / 2
    rounds = block.rounds[:, None] + np.arange(chosen.shape[1])
    aside = block.near_duplicate[:, None] & strategy.near_duplicates_last
    return base + 2.0 * rounds + aside + order.prompt_keys[:, None].astype(np.float64)


def earliest_position(
    *, pairs_planned: int, near_duplicate: bool, order_key: float, last: bool
) -> float:
    """Where the next pair of a prompt would stand, with a strategy that goes round by round."""
    return (_LAST_TIER if last else 0.0) + 2.0 * pairs_planned + near_duplicate + order_key
