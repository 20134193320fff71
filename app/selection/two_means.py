"""2-means on few points: exact up to 12 by trying every partition, above that Lloyd's iterations.

Everything is computed from the points' inner products, so a rotation changes nothing. The points
are in the order of their ids; ties go to the partition that comes first in the order of ids.
"""

from functools import lru_cache

import numpy as np

from app.selection.arrays import BoolArray, FloatArray

EXACT_POINTS = 12
"""Up to this many points all 2^(k-1) - 1 partitions are tried."""

_TIE = 1e-6
_MOST_ITERATIONS = 100


def two_means(gram: FloatArray) -> BoolArray:
    """The two clusters of least within-cluster sum of squares, as membership of the second.

    Args:
        gram: inner products, ``(prompts, k, k)``.

    Returns:
        ``(prompts, k)``: False for the cluster of the first point, True for the other; neither is
        empty.
    """
    return _exact(gram) if gram.shape[1] <= EXACT_POINTS else _lloyd(gram)


def centre_distances(gram: FloatArray, second: BoolArray) -> tuple[FloatArray, FloatArray]:
    """Each point's squared distance to the two centres: ``(prompts, k)`` twice."""
    return _distances(gram, ~second), _distances(gram, second)


def _distances(gram: FloatArray, members: BoolArray) -> FloatArray:
    weights = members / members.sum(axis=1, keepdims=True)
    to_centre = np.einsum("nij,nj->ni", gram, weights)
    centre_length = np.einsum("ni,ni->n", to_centre, weights)
    diagonal = np.einsum("nii->ni", gram)
    distances: FloatArray = diagonal - 2 * to_centre + centre_length[:, None]
    return distances


@lru_cache(maxsize=EXACT_POINTS)
def _partitions(points: int) -> BoolArray:
    """Every partition of the points in two, ``(partitions, points)``; the first is never True."""
    numbers = np.arange(1, 2 ** (points - 1))
    bits = (numbers[:, None] >> np.arange(points - 1)[::-1]) & 1
    return np.concatenate([np.zeros((len(numbers), 1)), bits], axis=1).astype(np.bool_)


def _exact(gram: FloatArray) -> BoolArray:
    partitions = _partitions(gram.shape[1])
    gain = _gain(gram, partitions)
    near_best = gain >= gain.max(axis=1, keepdims=True) - _TIE
    best: BoolArray = partitions[near_best.argmax(axis=1)]
    return best


def _gain(gram: FloatArray, second: BoolArray) -> FloatArray:
    """The reduction of the sum of squares, Σ ``|Σ y|² / size``: ``(prompts, partitions)``.

    The first cluster's ``|Σ y|²`` follows from the second's and from the products with all points.
    """
    weights = second.astype(np.float64)
    sizes = weights.sum(axis=1)
    inner = np.matmul(weights, gram)
    of_second = np.einsum("npk,pk->np", inner, weights)
    with_all = gram.sum(axis=2)
    of_first = with_all.sum(axis=1)[:, None] - 2 * with_all @ weights.T + of_second
    gain: FloatArray = of_second / sizes + of_first / (second.shape[1] - sizes)
    return gain


def _lloyd(gram: FloatArray) -> BoolArray:
    """Lloyd's iterations, starting from the two points that are furthest apart."""
    second: BoolArray = _nearer_to_the_far_end(gram)
    for _ in range(_MOST_ITERATIONS):
        to_first, to_second = centre_distances(gram, second)
        moved = to_second < to_first - _TIE
        kept_whole = moved.any(axis=1, keepdims=True) & ~moved.all(axis=1, keepdims=True)
        following: BoolArray = np.where(kept_whole, moved, second)
        settled = np.array_equal(following, second)
        second = following
        if settled:
            break
    swapped: BoolArray = second ^ second[:, :1]
    return swapped


def _nearer_to_the_far_end(gram: FloatArray) -> BoolArray:
    points = gram.shape[1]
    diagonal = np.einsum("nii->ni", gram)
    apart = diagonal[:, :, None] + diagonal[:, None, :] - 2 * gram
    flat = np.triu(apart, k=1).reshape(len(gram), -1)
    furthest = (flat >= flat.max(axis=1, keepdims=True) - _TIE) & np.triu(
        np.ones((points, points), dtype=np.bool_), k=1
    ).reshape(1, -1)
    start, end = np.divmod(furthest.argmax(axis=1), points)
    rows = np.arange(len(gram))
    nearer: BoolArray = apart[rows, end] < apart[rows, start] - _TIE
    nearer[rows, end] = True
    nearer[rows, start] = False
    return nearer
