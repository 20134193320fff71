"""The interval of a rate."""

from math import sqrt
from typing import Final

_Z: Final = 1.959963984540054  # the normal distribution's 97.5th percentile


def wilson_interval(successes: int, trials: int) -> tuple[float, float]:
    """The 95% interval of a rate, at least one trial (Wilson, JASA 22, 1927)."""
    rate = successes / trials
    shrink = 1 + _Z**2 / trials
    middle = (rate + _Z**2 / (2 * trials)) / shrink
    margin = _Z / shrink * sqrt(rate * (1 - rate) / trials + _Z**2 / (4 * trials**2))
    return max(0.0, middle - margin), min(1.0, middle + margin)
