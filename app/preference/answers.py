"""Labels as differences of features: what a posterior is fitted to."""

from dataclasses import dataclass, fields

import numpy as np
from numpy.typing import NDArray

from app.selection.arrays import BoolArray, IntArray

Floats = NDArray[np.float64]


@dataclass(frozen=True, slots=True)
class Answers:
    """Labels as differences of features, in the order in which they came."""

    differences: Floats
    """φ of the pair's first response less φ of its second: ``(labels, features)``."""
    targets: Floats
    """1: the first is preferred, 0: the second, ½: a tie; ``(labels,)``."""
    weights: Floats
    """Strengths, ``(labels,)``."""
    groups: IntArray
    """The group of near-duplicates of each label's prompt, ``(labels,)``."""
    pairs: IntArray
    """Which labels are on one pair: ``(labels,)``."""
    prompts: IntArray
    """Which labels are on one prompt: ``(labels,)``."""

    def __len__(self) -> int:
        return len(self.targets)

    def part(self, which: BoolArray | slice | IntArray) -> "Answers":
        """Some of them."""
        return Answers(*(getattr(self, field.name)[which] for field in fields(Answers)))
