"""A project's labels as numbers: what the model of annotators is fitted to."""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

IntArray = NDArray[np.int64]
FloatArray = NDArray[np.float64]


@dataclass(frozen=True, slots=True)
class Votes:
    """One entry a label, in the order of the labels' numbers; every array is ``(labels,)``.

    ``side`` is 1 where the pair's first response is preferred, -1 where its second is, and 0 for a
    tie. ``annotator`` counts from 0.
    """

    pair_ids: IntArray
    side: IntArray
    annotator: IntArray

    def __len__(self) -> int:
        return len(self.pair_ids)
