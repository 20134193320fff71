"""How much annotators agree beyond chance."""

import numpy as np
from numpy.typing import NDArray

IntArray = NDArray[np.int64]


def krippendorff_alpha(answers: IntArray, pairs: IntArray) -> float | None:
    """Krippendorff's alpha for nominal answers.

    ``answers``, (patterns, categories): how many annotators gave each answer to a pair; ``pairs``,
    (patterns,): how many pairs have that pattern. Pairs with fewer than two answers say nothing
    and are left out. None where alpha is not defined: no pair has two answers, or all answers of
    all pairs are the same.

    Krippendorff, *Computing Krippendorff's Alpha-Reliability* (2011), section C.
    """
    per_pair = answers.sum(axis=1)
    is_paired = per_pair >= 2
    counts = answers[is_paired].astype(np.float64)
    weights = pairs[is_paired].astype(np.float64)[:, np.newaxis]
    others = per_pair[is_paired].astype(np.float64)[:, np.newaxis] - 1
    totals = (weights * counts).sum(axis=0)
    total = float(totals.sum())
    expected = (total**2 - float((totals**2).sum())) / (total - 1) if total else 0.0
    if expected == 0:
        return None
    agreeing = float((weights * counts * (counts - 1) / others).sum())
    return 1 - (total - agreeing) / expected
