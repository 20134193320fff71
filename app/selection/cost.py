"""The expected cost of a pair, and the order by value per cost.

If the budget is in minutes or money, pairs are ordered by value per expected second. A strategy
gives keys, lowest first; ``by_cosine``, ``by_score`` or ``by_place`` turns a key into a value on a
ratio scale: a pair that takes twice as long must be worth twice as much to come first. If all pairs
cost the same, the order is that of the keys.
"""

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np

from app.selection.arrays import Float64Array, FloatArray, IntArray
from app.selection.pair_grid import pair_columns

_SECONDS_PER_MINUTE = 60.0
_LEAST_SECONDS = 1e-3

PairValue = Callable[[FloatArray], Float64Array]
"""From a strategy's keys, ``(prompts, pairs)``, to the values of the pairs, 0 or more."""


@dataclass(frozen=True, slots=True)
class Pricing:
    """How long a project's annotators are expected to take."""

    seconds_base: float
    words_per_minute: float

    def expected_seconds(self, words: int) -> float:
        """Seconds to judge a pair: a base, and the time to read the words of its two responses.

        The prompt is not counted: it is read once for all of its pairs.
        """
        return self.seconds_base + words * _SECONDS_PER_MINUTE / self.words_per_minute

    def of_pairs(self, words: IntArray) -> Float64Array:
        """The same of every pair, ``(prompts, pairs)``, by the words of each response."""
        first, second = pair_columns(words.shape[1])
        read = (words[:, first] + words[:, second]).astype(np.float64)
        return self.seconds_base + read * _SECONDS_PER_MINUTE / self.words_per_minute


def count_words(text: str) -> int:
    """How many words a text has. A word is a run of characters without white space."""
    return len(text.split())


def by_cosine(keys: FloatArray) -> Float64Array:
    """For keys that are cosines, or their negatives: 1 − key."""
    return np.maximum(1.0 - np.asarray(keys, dtype=np.float64), 0.0)


def by_score(keys: FloatArray) -> Float64Array:
    """For keys that are the negatives of scores from 0 up: the score."""
    return np.maximum(-np.asarray(keys, dtype=np.float64), 0.0)


def by_place(keys: FloatArray) -> Float64Array:
    """For keys that only give an order: 1/i for the i-th pair of the prompt."""
    order = np.argsort(keys, axis=1, kind="stable")
    values = np.empty(order.shape)
    np.put_along_axis(values, order, 1.0 / np.arange(1, order.shape[1] + 1)[None, :], axis=1)
    return values


def keys_per_second(values: Float64Array, seconds: FloatArray) -> Float64Array:
    """Keys that put high values per second first: ``(1 − v) / (1 + v)``, in (−1, 1] as cosines are.

    Args:
        values: from 0 up, of any shape.
        seconds: of the same shape.
    """
    per_second = values / np.maximum(seconds, _LEAST_SECONDS)
    return (1.0 - per_second) / (1.0 + per_second)
