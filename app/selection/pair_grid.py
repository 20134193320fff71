"""The pairs of a prompt, as columns: pair ``p`` of ``k`` responses is ``(first[p], second[p])``.

The columns run through (0, 1), (0, 2), … (k-2, k-1). With the responses in the order of their ids
this is the order of the pairs' ids too, so a stable sort over columns breaks ties by id.
"""

from functools import lru_cache

import numpy as np
from numpy.typing import NDArray

from app.selection.arrays import FloatArray, IntArray


def pair_count(responses: int) -> int:
    """How many pairs that many responses make."""
    return responses * (responses - 1) // 2


@lru_cache(maxsize=128)
def pair_columns(responses: int) -> tuple[IntArray, IntArray]:
    """The first and the second response of every pair: two arrays, ``(pairs,)`` each."""
    first, second = np.triu_indices(responses, k=1)
    first.setflags(write=False)
    second.setflags(write=False)
    return first.astype(np.int64), second.astype(np.int64)


def column_of(first: int, second: int, responses: int) -> int:
    """The column of the pair ``first < second``."""
    return first * (2 * responses - first - 1) // 2 + second - first - 1


def gram_matrices(embeddings: FloatArray) -> FloatArray:
    """Cosines of unit vectors, ``(prompts, k, k)`` from ``(prompts, k, dimensions)``."""
    gram: FloatArray = np.matmul(embeddings, embeddings.transpose(0, 2, 1))
    return gram


def mean_similarities(gram: FloatArray) -> NDArray[np.float64]:
    """Each response's mean cosine to the prompt's others: ``(prompts, k)`` of ``(prompts, k, k)``.

    How typical a response is of what its prompt got. A response without others: 0.
    """
    others = max(gram.shape[1] - 1, 1)
    return np.asarray((gram.sum(axis=2, dtype=np.float64) - 1) / others, dtype=np.float64)


def pair_similarities(embeddings: FloatArray) -> FloatArray:
    """The cosine of every pair, ``(prompts, pairs)`` from ``(prompts, k, dimensions)``."""
    first, second = pair_columns(embeddings.shape[1])
    similarities: FloatArray = gram_matrices(embeddings)[:, first, second]
    return similarities
