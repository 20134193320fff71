"""Groups of near-duplicate prompts."""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

Ids = NDArray[np.int64]
Vectors = NDArray[np.float32]

_DECIMALS = 6
"""Similarities are compared to so many decimals; of equally near prompts the lowest id wins."""


@dataclass(frozen=True, slots=True)
class GroupedPrompts:
    """Prompts whose groups are fixed."""

    ids: Ids
    """``(n,)``."""
    groups: Ids
    """``(n,)``."""
    vectors: Vectors
    """``(n, dimensions)``."""


def assign_groups(ids: Ids, vectors: Vectors, earlier: GroupedPrompts, threshold: float) -> Ids:
    """The group of each newcomer: that of the nearest earlier prompt, if it is near enough.

    Newcomers of lower ids count as earlier too. A prompt without a near-duplicate before it begins
    a group of its own, under its own id.

    Args:
        ids: the newcomers, rising: ``(n,)``.
        vectors: their unit vectors, ``(n, dimensions)``.
        earlier: all prompts with groups that could be near-duplicates of newcomers.
        threshold: the lowest cosine of near-duplicates.

    Returns:
        The groups of the newcomers: ``(n,)``.
    """
    everyone = np.concatenate([earlier.ids, ids])
    by_id = np.argsort(everyone, kind="stable")
    rows = vectors.astype(np.float64)
    similarities = rows @ np.concatenate([earlier.vectors, vectors])[by_id].astype(np.float64).T
    is_newcomer = (by_id >= len(earlier.ids))[None, :]
    is_later = is_newcomer & (everyone[by_id][None, :] >= ids[:, None])
    similarities[is_later] = -np.inf
    nearest = np.round(similarities, _DECIMALS).argmax(axis=1)
    group_of = dict(zip(earlier.ids.tolist(), earlier.groups.tolist(), strict=True))
    for row, (number, column) in enumerate(zip(ids.tolist(), nearest.tolist(), strict=True)):
        near = similarities[row, column] >= threshold
        group_of[number] = group_of[int(everyone[by_id[column]])] if near else number
    return np.array([group_of[number] for number in ids.tolist()], dtype=np.int64)
