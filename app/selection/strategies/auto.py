"""``auto``: different responses, with a guard against freaks that grows with their number.

A mixture of rules, found by trial on public data (``docs/label-efficiency.md`` has the log):

- fewer than ``SOME_RESPONSES`` responses: ``dissimilar``; of three there is no telling which is
  the freak;
- fewer than ``MANY_RESPONSES``: ``dissimilar`` and ``dissimilar-typical`` with three quarters of
  the responses, in turn. By a draw, one prompt's first pair is that of the one rule and its second
  pair that of the other;
- as many or more: ``dissimilar-typical`` with half of the responses. The lowest of hundreds of
  cosines is always a freak's.

It looks at no label: a plan made with it never has to be made anew.
"""

import numpy as np
from numpy.typing import NDArray

from app.selection.arrays import FloatArray, IntArray
from app.selection.candidates import PromptBlock
from app.selection.model.preference import PreferenceModel
from app.selection.pair_grid import gram_matrices, pair_columns, pair_similarities
from app.selection.strategies.dissimilar_typical import freak_counts, typical_keys
from app.selection.strategy import PairOrder

SOME_RESPONSES = 4
MANY_RESPONSES = 12
_SHARE_OF_FEW = 0.75
_SHARE_OF_MANY = 0.5
_DRAWS = 2**20


def order(
    blocks: list[PromptBlock],
    _model: PreferenceModel | None,
    _rng: np.random.Generator,
) -> list[PairOrder]:
    """The rule, or the two rules' first choices, then their second choices, and so on."""
    return [PairOrder(_keys(block), block.order_keys) for block in blocks]


def _keys(block: PromptBlock) -> FloatArray:
    if block.responses >= MANY_RESPONSES:
        return typical_keys(block, _SHARE_OF_MANY)
    if block.responses < SOME_RESPONSES:
        return pair_similarities(block.embeddings)
    return _in_turn(block)


def _in_turn(block: PromptBlock) -> FloatArray:
    """Each pair's place among both rules' choices: ``(prompts, pairs)``."""
    gram = gram_matrices(block.embeddings)
    first, second = pair_columns(block.responses)
    by_cosine = np.argsort(gram[:, first, second], axis=1, kind="stable")
    counts = np.take_along_axis(freak_counts(gram, _SHARE_OF_FEW), by_cosine, axis=1)
    one = np.arange(by_cosine.shape[1])[None, :]
    # The draw behind the order of prompts, by digits that the order hardly sees.
    other_first = (block.order_keys * _DRAWS).astype(np.int64)[:, None] % 2
    places = np.minimum(2 * one + other_first, 2 * _typical_places(counts) + 1 - other_first)
    keys = np.empty(by_cosine.shape)
    np.put_along_axis(keys, by_cosine, places.astype(np.float64), axis=1)
    return keys


def _typical_places(counts: NDArray[np.int8]) -> IntArray:
    """Where pairs come when those with fewer freaks go first: ``(prompts, pairs)``.

    A stable sort by three values, which counting does faster than sorting.
    """
    places = np.zeros(counts.shape, dtype=np.int64)
    before = np.zeros((len(counts), 1), dtype=np.int64)
    for freaks in range(3):
        mine = counts == freaks
        so_far = np.cumsum(mine, axis=1, dtype=np.int64)
        places += mine * (before + so_far - 1)
        before = before + so_far[:, -1:]
    return places
