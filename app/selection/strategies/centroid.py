"""``centroid``: the responses nearest to the two centres of a 2-means on a prompt's responses.

REAL (arXiv 2409.17169), "centroid". With centres ``a`` and ``b`` the key of a pair is
``min(|y_i - a|² + |y_j - b|², |y_i - b|² + |y_j - a|²)``: its lowest is the pair of the responses
nearest to the two centres (of two different ones, where one response is nearest to both), and the
pairs after it are the next nearest.
"""

import numpy as np
from numpy.typing import NDArray

from app.selection.arrays import FloatArray
from app.selection.candidates import PromptBlock
from app.selection.pair_grid import gram_matrices, pair_columns
from app.selection.strategy import Strategy, by_pair_keys
from app.selection.two_means import centre_distances, two_means

_PROMPTS_AT_A_TIME = 256
_DECIMALS = 6
"""Distances that differ by less are ties, broken by id and not by rounding errors."""


def _keys(block: PromptBlock) -> NDArray[np.float64]:
    starts = range(0, len(block.prompt_ids), _PROMPTS_AT_A_TIME)
    parts = [_chunk_keys(block.embeddings[at : at + _PROMPTS_AT_A_TIME]) for at in starts]
    return np.concatenate(parts)


def _chunk_keys(embeddings: FloatArray) -> NDArray[np.float64]:
    gram = gram_matrices(embeddings).astype(np.float64)
    to_a, to_b = centre_distances(gram, two_means(gram))
    first, second = pair_columns(embeddings.shape[1])
    one_way = to_a[:, first] + to_b[:, second]
    other_way = to_b[:, first] + to_a[:, second]
    keys: NDArray[np.float64] = np.round(np.minimum(one_way, other_way), _DECIMALS)
    return keys


STRATEGY = Strategy(
    "centroid",
    "the responses nearest to the two centres of a 2-means on each prompt's responses",
    by_pair_keys(_keys),
    rank=60,
)
