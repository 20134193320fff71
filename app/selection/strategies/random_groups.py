"""The most different pair of each of a prompt's random groups, one group after the other.

In a group of four, the pair of lowest cosine is more different than a random pair, but an outlier
is in few of the groups. Groups of two are ``random``, and a group of all responses is
``dissimilar``. When each group has given a pair, new groups are drawn; this is called a sweep.

Each time a response is in a pair, its other pairs are ranked lower, by ``REUSE`` standard
deviations of the prompt's cosines, so that the pairs of a prompt do not all contain the same
response. Outliers are ranked last within their group. They are the responses, of five or more,
whose mean similarity to the others lies more than ``OUTLIER_DEVIATIONS`` normalised median absolute
deviations below the prompt's median (Iglewicz and Hoaglin 1993, "How to detect and handle
outliers").
"""

from functools import lru_cache

import numpy as np
from numpy.typing import NDArray

from app.selection.arrays import BoolArray, FloatArray, IntArray
from app.selection.candidates import PromptBlock
from app.selection.hashing import mixed, salts, uniform
from app.selection.pair_grid import gram_matrices, mean_similarities, pair_columns

REUSE = 1.0
AHEAD = 6
MOST_ORDERED = 64
"""The pairs of a prompt are chosen one by one: ``AHEAD`` more than are taken, at most this many.
All others come in random order."""
OUTLIER_DEVIATIONS = 3.5
LEAST_RESPONSES = 5
_OUTLIER_PENALTY = np.float32(1000.0)
_NORMAL_MAD = 1.4826
_LEAST_SPREAD = 1e-3
_NUMBERS_AT_A_TIME = 2**16

Floats = NDArray[np.float32]


def group_keys(block: PromptBlock, size: int) -> NDArray[np.float64]:
    """Each pair's key, ``(prompts, pairs)``: its rank, or a random number above all ranks.

    Args:
        block: the prompts; their groups are drawn by their order keys and the responses' ids.
        size: about how many responses a group has.
    """
    keys = uniform(block.response_ids, salts(block.order_keys)) + MOST_ORDERED
    pairs = keys.shape[1]
    rows = max(1, _NUMBERS_AT_A_TIME // pairs)
    steps = min(pairs, MOST_ORDERED, int(block.taken.sum(axis=1).max(initial=0)) + AHEAD)
    narrow = narrowness(block)
    for start in range(0, len(keys), rows):
        chunk = slice(start, start + rows)
        _order(keys[chunk], narrow[chunk], _draws(block, chunk), size, steps)
    return keys


def first_choices(block: PromptBlock, narrow: Floats, size: int) -> IntArray:
    """The first pair of each group: columns, ``(prompts, groups)``; -1: a group of one.

    Args:
        block: the prompts.
        narrow: as ``narrowness`` gives it, ``(prompts, pairs)``.
        size: as in ``group_keys``.
    """
    return _widest(narrow, _draws(block, slice(None)), size, sweep=0)


def narrowness(block: PromptBlock) -> Floats:
    """Cosines in standard deviations from the prompt's mean, those of outliers far above.

    ``(prompts, pairs)``.
    """
    gram = gram_matrices(block.embeddings)
    first, second = pair_columns(block.responses)
    cosines = gram[:, first, second]
    spread = np.maximum(cosines.std(axis=1, keepdims=True), _LEAST_SPREAD)
    around = (cosines - cosines.mean(axis=1, keepdims=True)) / spread
    if block.responses >= LEAST_RESPONSES:
        outliers = _outliers(gram).astype(np.float32)
        around += _OUTLIER_PENALTY * (outliers[:, first] + outliers[:, second])
    return np.asarray(around, dtype=np.float32)


def _outliers(gram: FloatArray) -> BoolArray:
    """Which responses are outliers: ``(prompts, k)``."""
    similarity = mean_similarities(gram)
    below = np.median(similarity, axis=1, keepdims=True) - similarity
    deviation = _NORMAL_MAD * np.median(np.abs(below), axis=1, keepdims=True)
    return np.asarray(
        below > OUTLIER_DEVIATIONS * np.maximum(deviation, _LEAST_SPREAD), dtype=np.bool_
    )


def _order(
    keys: NDArray[np.float64], narrow: Floats, draws: NDArray[np.uint64], size: int, steps: int
) -> None:
    """Write the ranks of the first pairs into ``keys``."""
    rows = np.arange(len(keys))
    shared = _shared(draws.shape[1])
    left = narrow.copy()
    step = sweep = 0
    while step < steps:
        for column in _widest(left, draws, size, sweep).T:
            found = column >= 0
            row, at = rows[found], column[found]
            keys[row, at] = step
            left[row] += shared[at]
            left[row, at] = np.inf
            step += 1
        sweep += 1


def _widest(left: Floats, draws: NDArray[np.uint64], size: int, sweep: int) -> IntArray:
    """The pair of lowest value in each group: columns, ``(prompts, groups)``; -1: none left."""
    responses = draws.shape[1]
    groups = max(1, round(responses / size))
    if groups == 1:
        best = left.argmin(axis=1)[:, None]
        is_left = np.take_along_axis(left, best, axis=1) < np.inf
        return np.where(is_left, best, -1)
    shuffled = mixed(draws + np.uint64(sweep)).argsort(axis=1)
    found = []
    for one, other in _positions(responses, groups):
        columns = _column_table(responses)[shuffled[:, one], shuffled[:, other]]
        values = np.take_along_axis(left, columns, axis=1)
        place = values.argmin(axis=1)[:, None]
        is_left = np.take_along_axis(values, place, axis=1) < np.inf
        found.append(np.where(is_left, np.take_along_axis(columns, place, axis=1), -1))
    return np.concatenate(found, axis=1)


def _draws(block: PromptBlock, rows: slice) -> NDArray[np.uint64]:
    """A number for every response: ``(prompts, k)``."""
    return mixed(salts(block.order_keys)[rows] + block.response_ids[rows].astype(np.uint64))


@lru_cache(maxsize=128)
def _positions(responses: int, groups: int) -> list[tuple[IntArray, IntArray]]:
    """The pairs of indices into a shuffle that each group has; groups of one are left out."""
    group = np.arange(responses) * groups // responses
    members = [np.flatnonzero(group == number) for number in range(groups)]
    pairs = [(one, pair_columns(len(one))) for one in members if len(one) > 1]
    return [(one[first], one[second]) for one, (first, second) in pairs]


@lru_cache(maxsize=16)
def _column_table(responses: int) -> IntArray:
    """The column of every two responses, in either order: ``(k, k)``."""
    table = np.zeros((responses, responses), dtype=np.int64)
    first, second = pair_columns(responses)
    table[first, second] = table[second, first] = np.arange(len(first))
    return table


@lru_cache(maxsize=16)
def _shared(responses: int) -> Floats:
    """The penalty of a pair once another is chosen, by shared responses: ``(pairs, pairs)``."""
    member = np.zeros((responses * (responses - 1) // 2, responses), dtype=np.float32)
    first, second = pair_columns(responses)
    rows = np.arange(len(member))
    member[rows, first] = member[rows, second] = 1
    return np.asarray(REUSE * (member @ member.T), dtype=np.float32)
