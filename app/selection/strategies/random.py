"""``random``: the baseline, uniform within a prompt and across prompts.

REAL (arXiv 2409.17169), "random". A pair's key is a hash of its responses' ids, salted by one draw
from the generator: uniform, and the same in whatever company the prompt comes.
"""

import numpy as np
from numpy.typing import NDArray

from app.selection.candidates import PromptBlock
from app.selection.model.preference import PreferenceModel
from app.selection.pair_grid import pair_columns
from app.selection.strategy import PairOrder

_GOLDEN = np.uint64(0x9E3779B97F4A7C15)
_MIX = (
    (np.uint64(30), np.uint64(0xBF58476D1CE4E5B9)),
    (np.uint64(27), np.uint64(0x94D049BB133111EB)),
)
_LAST_SHIFT = np.uint64(31)
_UNUSED_BITS = np.uint64(11)


def order(
    blocks: list[PromptBlock],
    _model: PreferenceModel | None,
    rng: np.random.Generator,
) -> list[PairOrder]:
    """Every order of a prompt's pairs is as likely as any other."""
    salt = rng.integers(2**63, size=1, dtype=np.uint64)
    return [PairOrder(_keys(block, salt), block.order_keys) for block in blocks]


def _keys(block: PromptBlock, salt: NDArray[np.uint64]) -> NDArray[np.float64]:
    first, second = pair_columns(block.responses)
    ids = block.response_ids.astype(np.uint64)
    hashed = _mix(_mix(salt + ids[:, first]) + ids[:, second])
    return (hashed >> _UNUSED_BITS).astype(np.float64) * 2.0**-53


def _mix(numbers: NDArray[np.uint64]) -> NDArray[np.uint64]:
    """SplitMix64's finaliser (Steele, Lea and Flood, OOPSLA 2014): every bit in touches all."""
    mixed = numbers + _GOLDEN
    for shift, factor in _MIX:
        mixed = (mixed ^ (mixed >> shift)) * factor
    return mixed ^ (mixed >> _LAST_SHIFT)
