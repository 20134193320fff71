"""How many times the labels one curve needs for the same value as another.

Both curves are made to rise (isotonic regression) and joined by straight lines over the logarithm
of the budget. The ratio is symmetric: if random needs twice the labels of a strategy, the strategy
needs half of random's.
"""

import numpy as np
from sklearn.isotonic import isotonic_regression

from app.selection.arrays import Float64Array

LEAST_COMPARED = 50
"""Ratios are taken from this many labels on."""
_GRID = 40
_LEAST_SHARED = 0.5
_STEP = 1e-9
_NEAR = 1e-7


class RisingCurve:
    """Values at growing budgets, made to rise."""

    def __init__(self, budgets: Float64Array, values: Float64Array) -> None:
        """``budgets`` and ``values``: ``(budgets,)``; the higher a value, the better."""
        self.logs = np.log(budgets)
        rising = np.asarray(isotonic_regression(values), dtype=np.float64)
        # Nowhere quite level, so that every value has a place.
        self.values = rising + _STEP * np.arange(len(rising))

    def at(self, logs: Float64Array) -> Float64Array:
        """The values at these logarithms of budgets."""
        return np.asarray(np.interp(logs, self.logs, self.values), dtype=np.float64)

    def reaching(self, values: Float64Array) -> Float64Array:
        """Where the curve has these values: logarithms of budgets, the middle of level stretches.

        A value above or below all of the curve's is given its end.
        """
        first = np.interp(values - _NEAR, self.values, self.logs)
        last = np.interp(values + _NEAR, self.values, self.logs)
        return np.asarray((first + last) / 2, dtype=np.float64)

    def has(self, values: Float64Array) -> Float64Array:
        """1 for values between the first and the last of the curve, else 0."""
        inside = (values >= self.values[0] - _NEAR) & (values <= self.values[-1] + _NEAR)
        return np.asarray(inside, dtype=np.float64)


def log_times(curve: RisingCurve, baseline: RisingCurve) -> tuple[float, bool]:
    """The logarithm of how many times the labels ``baseline`` needs, and whether it is cut off.

    It is the mean over the values that either curve has at budgets from ``LEAST_COMPARED`` on,
    evenly over the logarithm of the budget, as far as the other curve has them too. If that is less
    than half of them, the figure is cut off: the curves are further apart than it says.
    """
    start = max(np.log(LEAST_COMPARED), curve.logs[0])
    grid = np.linspace(min(start, curve.logs[-1]), curve.logs[-1], _GRID)
    values = np.concatenate([curve.at(grid), baseline.at(grid)])
    shared = curve.has(values) * baseline.has(values)
    apart = baseline.reaching(values) - curve.reaching(values)
    if not shared.any():
        ends = curve.logs[-1] - curve.logs[0]
        return float(np.sign(curve.values.mean() - baseline.values.mean()) * ends), True
    return float((shared * apart).sum() / shared.sum()), bool(shared.mean() < _LEAST_SHARED)


def log_times_at(curve: RisingCurve, baseline: RisingCurve) -> Float64Array:
    """The same at each budget of ``curve``, ``(budgets,)``; at the baseline's ends, cut off."""
    return np.asarray(baseline.reaching(curve.values) - curve.logs, dtype=np.float64)
