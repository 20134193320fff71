"""Cut texts that are longer than a model's window into windows.

A model of 256 tokens reads only the beginning of a long response, so two dialogues that begin alike
would have the same vector. Therefore a long text is read in consecutive windows, and its vector is
the mean of theirs, weighted by tokens.
"""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

MAX_WINDOWS = 16

Offsets = Sequence[tuple[int, int]]
"""The first and the last character (exclusive) of each token of a text."""


@dataclass(frozen=True, slots=True)
class Window:
    """A part of a text, and how many tokens it has."""

    text: str
    tokens: int


def cut(text: str, offsets: Offsets, window_tokens: int) -> list[Window]:
    """The windows of a text, in order; the text itself if it fits into one.

    If there are more than ``MAX_WINDOWS``, that many are taken, spread evenly from the first to the
    last.
    """
    if len(offsets) <= window_tokens:
        return [Window(text, len(offsets))]
    starts = range(0, len(offsets), window_tokens)
    taken = np.linspace(0, len(starts) - 1, min(len(starts), MAX_WINDOWS)).round().astype(int)
    spans = [offsets[starts[i] : starts[i] + window_tokens] for i in taken]
    return [Window(text[span[0][0] : span[-1][1]], len(span)) for span in spans]


def weighted_means(
    vectors: NDArray[np.float32], weights: NDArray[np.float64], counts: Sequence[int]
) -> NDArray[np.float32]:
    """The weighted mean of each run of rows.

    ``vectors`` is ``(windows, dimensions)``, ``weights`` is ``(windows,)``; ``counts`` says how
    many windows each text has, none of them zero. The answer is ``(texts, dimensions)``, not
    normalised.
    """
    starts = np.cumsum([0, *counts[:-1]])
    sums = np.add.reduceat(vectors * weights[:, None], starts, axis=0)
    return np.asarray(sums / np.add.reduceat(weights, starts)[:, None], dtype=np.float32)
