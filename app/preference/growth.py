"""Forecast a learning curve with power laws, acc(n) = a − b·n^(−c). Pure.

Inverse power laws describe learning curves well (Viering and Loog, *The Shape of Learning Curves*,
arXiv 2103.10948), but many laws fit a short and noisy curve. So all laws of a grid are weighted by
how likely they make the curve (Bayes' rule). The prior is uniform over the accuracies at the first
and the last point, and over log c. The noise of the points is normal, with the covariance of the
curve's replicates.
"""

from dataclasses import dataclass
from typing import Final

import numpy as np

from app.preference.learning_curve import LearningCurve
from app.selection.arrays import Float64Array

LEAST_POINTS: Final = 3
"""A law has three unknowns."""
_MOST_POINTS: Final = 4
"""Only the last points are fitted, three doublings: no law holds for the whole curve."""
_CEILING: Final = (0.5, 1.0)
_EXPONENTS: Final = np.geomspace(0.05, 1.0, 25)
_STEPS: Final = 61
_REACH: Final = 4.5
_LEVELS: Final = (0.025, 0.5, 0.975)
_MISFIT: Final = 0.002
"""How far a point may lie from the law, which is not exact, as a standard deviation."""
_UNLIKELY: Final = 1e-6


@dataclass(frozen=True, slots=True)
class Estimate:
    """A value with its 95% interval."""

    value: float
    low: float
    high: float


@dataclass(frozen=True, slots=True)
class GrowthLaws:
    """The laws that may describe a curve, and how likely each is."""

    ceiling: Float64Array
    """a, in [½, 1]: the accuracy that no number of labels exceeds. ``(laws,)``."""
    drop: Float64Array
    """b ≥ 0: ``(laws,)``."""
    exponent: Float64Array
    """c, in [0.05, 1]: ``(laws,)``."""
    likelihood: Float64Array
    """``(laws,)``; the sum is 1."""

    @property
    def best(self) -> tuple[float, float, float]:
        """a, b and c of the most likely law."""
        best = int(self.likelihood.argmax())
        return float(self.ceiling[best]), float(self.drop[best]), float(self.exponent[best])

    def accuracy(self, labels: float) -> Estimate:
        """The accuracy expected with that many labels."""
        return self._estimate(self._at(labels))

    def gain(self, labels: float, more: float) -> Estimate:
        """The gain in accuracy expected from ``more`` labels."""
        return self._estimate(self._at(labels + more) - self._at(labels))

    def _at(self, labels: float) -> Float64Array:
        return np.asarray(self.ceiling - self.drop * labels**-self.exponent)

    def _estimate(self, values: Float64Array) -> Estimate:
        order = values.argsort()
        indices = np.searchsorted(np.cumsum(self.likelihood[order]), _LEVELS)
        low, value, high = values[order][np.minimum(indices, len(order) - 1)]
        return Estimate(float(value), float(low), float(high))


def fit_growth(curve: LearningCurve) -> GrowthLaws:
    """The laws of a curve of ``LEAST_POINTS`` points or more."""
    labels = curve.labels[-_MOST_POINTS:].astype(np.float64)
    accuracy = curve.accuracy[-_MOST_POINTS:]
    noise = np.cov((curve.tested + curve.trained)[:, -_MOST_POINTS:], rowvar=False)
    noise[np.diag_indices_from(noise)] += _MISFIT**2
    a, b, c = _laws(labels, accuracy, np.sqrt(np.diag(noise)))
    residuals = a[:, None] - b[:, None] * labels ** -c[:, None] - accuracy
    scaled = np.linalg.solve(np.linalg.cholesky(noise), residuals.T)
    log_likelihood = -(scaled**2).sum(axis=0) / 2
    likelihood = np.exp(log_likelihood - log_likelihood.max())
    kept = likelihood > _UNLIKELY
    return GrowthLaws(a[kept], b[kept], c[kept], likelihood[kept] / likelihood[kept].sum())


def _laws(
    labels: Float64Array, accuracy: Float64Array, sd: Float64Array
) -> tuple[Float64Array, Float64Array, Float64Array]:
    """a, b and c of the laws that pass near the first and the last point.

    If none of them grows within the bounds (the accuracy falls, or is below ½), the laws are flat.
    """
    ends = [
        np.linspace(accuracy[end] - _REACH * sd[end], accuracy[end] + _REACH * sd[end], _STEPS)
        for end in (0, -1)
    ]
    first, last, c = (each.ravel() for each in np.meshgrid(*ends, _EXPONENTS))
    b = (last - first) / (labels[0] ** -c - labels[-1] ** -c)
    a = first + b * labels[0] ** -c
    allowed = (b >= 0) & (a >= _CEILING[0]) & (a <= _CEILING[1])
    if allowed.any():
        return a[allowed], b[allowed], c[allowed]
    flat = np.clip(ends[1], *_CEILING)
    return flat, np.zeros_like(flat), np.ones_like(flat)
