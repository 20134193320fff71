"""Uniform numbers from ids, independent of the order of the ids and of other ids."""

import numpy as np
from numpy.typing import NDArray

from app.selection.arrays import FloatArray, IntArray
from app.selection.pair_grid import pair_columns

_GOLDEN = np.uint64(0x9E3779B97F4A7C15)
_MIX = (
    (np.uint64(30), np.uint64(0xBF58476D1CE4E5B9)),
    (np.uint64(27), np.uint64(0x94D049BB133111EB)),
)
_LAST_SHIFT = np.uint64(31)
_UNUSED_BITS = np.uint64(11)
_SALT_RANGE = 2.0**53


def uniform(response_ids: IntArray, salt: NDArray[np.uint64]) -> NDArray[np.float64]:
    """A number in [0, 1) for every pair: ``(prompts, pairs)``, columns as in ``pair_grid``.

    Args:
        response_ids: ``(prompts, k)``.
        salt: one number, ``(1,)``, or one a prompt, ``(prompts, 1)``.
    """
    first, second = pair_columns(response_ids.shape[1])
    ids = response_ids.astype(np.uint64)
    hashed = mixed(mixed(salt + ids[:, first]) + ids[:, second])
    return (hashed >> _UNUSED_BITS).astype(np.float64) * 2.0**-53


def salts(order_keys: FloatArray) -> NDArray[np.uint64]:
    """A salt for each prompt, from its draw in [0, 1): ``(prompts, 1)``."""
    keys = np.asarray(order_keys, dtype=np.float64)
    return mixed((keys * _SALT_RANGE).astype(np.uint64))[:, None]


def mixed(numbers: NDArray[np.uint64]) -> NDArray[np.uint64]:
    """SplitMix64's finaliser (Steele, Lea and Flood, OOPSLA 2014): each bit affects all others."""
    found = numbers + _GOLDEN
    for shift, factor in _MIX:
        found = (found ^ (found >> shift)) * factor
    return found ^ (found >> _LAST_SHIFT)
