"""The statistics behind the figures: agreement beyond chance, and the interval of a rate."""

from math import sqrt
from typing import Final

import numpy as np

from app.selection.arrays import IntArray

_Z: Final = 1.959963984540054  # the normal distribution's 97.5th percentile


def krippendorff_alpha(answers: IntArray, pairs: IntArray) -> float | None:
    """Krippendorff's alpha for nominal answers.

    Krippendorff, *Computing Krippendorff's Alpha-Reliability* (2011), section C. Pairs with fewer
    than two answers are ignored.

    Args:
        answers: how many annotators gave each answer to a pair, ``(patterns, categories)``.
        pairs: how many pairs have that pattern, ``(patterns,)``.

    Returns:
        Alpha; None where it is undefined, because no pair has two answers or all answers of all
        pairs are the same.
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


def wilson_interval(successes: int, trials: int) -> tuple[float, float]:
    """The 95% interval of a rate of one trial or more (Wilson, JASA 22, 1927)."""
    rate = successes / trials
    shrink = 1 + _Z**2 / trials
    middle = (rate + _Z**2 / (2 * trials)) / shrink
    margin = _Z / shrink * sqrt(rate * (1 - rate) / trials + _Z**2 / (4 * trials**2))
    return max(0.0, middle - margin), min(1.0, middle + margin)
