"""The law by which accuracy grows with labels, acc(n) = a − b·n^(−c), fitted to a curve. Pure.

Inverse power laws describe learning curves well (Viering and Loog, *The Shape of Learning Curves*,
arXiv 2103.10948), but many of them fit a short and noisy one. So all laws of a grid are weighed by
how likely they make the curve (Bayes' rule). The prior is uniform over the accuracies at the first
and the last point, and over log c. The noise of the points is normal; how that of one goes together
with that of another is known from the curve's replicates.
"""

from dataclasses import dataclass
from typing import Final

import numpy as np

from app.preference.answers import Floats
from app.preference.learning import Learning

LEAST_POINTS: Final = 3
"""Three unknowns."""
_MOST_POINTS: Final = 4
"""The last ones, over three doublings: no one law holds from the first labels to the last."""
_CEILING: Final = (0.5, 1.0)
_EXPONENTS: Final = np.geomspace(0.05, 1.0, 25)
_STEPS: Final = 61
_REACH: Final = 4.5
_LEVELS: Final = (0.025, 0.5, 0.975)
_MISFIT: Final = 0.002
"""The law is not exact: how far a point may lie from it, as a standard deviation."""
_UNLIKELY: Final = 1e-6


@dataclass(frozen=True, slots=True)
class Estimate:
    """A value with its 95% interval."""

    value: float
    low: float
    high: float


@dataclass(frozen=True, slots=True)
class Growth:
    """The laws that could have made a curve, and how likely each is."""

    ceiling: Floats
    """a, in [½, 1]: the accuracy that no number of labels exceeds. ``(laws,)``."""
    drop: Floats
    """b ≥ 0: ``(laws,)``."""
    exponent: Floats
    """c, in [0.05, 1]: ``(laws,)``."""
    likelihood: Floats
    """Together 1: ``(laws,)``."""

    @property
    def best(self) -> tuple[float, float, float]:
        """a, b and c of the likeliest law."""
        place = int(self.likelihood.argmax())
        return float(self.ceiling[place]), float(self.drop[place]), float(self.exponent[place])

    def accuracy(self, labels: float) -> Estimate:
        """What is expected at that many labels."""
        return self._estimate(self._at(labels))

    def gain(self, labels: float, more: float) -> Estimate:
        """What so many more are expected to bring."""
        return self._estimate(self._at(labels + more) - self._at(labels))

    def _at(self, labels: float) -> Floats:
        return np.asarray(self.ceiling - self.drop * labels**-self.exponent)

    def _estimate(self, values: Floats) -> Estimate:
        order = values.argsort()
        places = np.searchsorted(np.cumsum(self.likelihood[order]), _LEVELS)
        low, value, high = values[order][np.minimum(places, len(order) - 1)]
        return Estimate(float(value), float(low), float(high))


def fit_growth(learning: Learning) -> Growth:
    """The laws of a curve of ``LEAST_POINTS`` or more."""
    labels = learning.labels[-_MOST_POINTS:].astype(np.float64)
    accuracy = learning.accuracy[-_MOST_POINTS:]
    noise = np.cov((learning.tested + learning.trained)[:, -_MOST_POINTS:], rowvar=False)
    noise[np.diag_indices_from(noise)] += _MISFIT**2
    a, b, c = _laws(labels, accuracy, np.sqrt(np.diag(noise)))
    residuals = a[:, None] - b[:, None] * labels ** -c[:, None] - accuracy
    scaled = np.linalg.solve(np.linalg.cholesky(noise), residuals.T)
    log_likelihood = -(scaled**2).sum(axis=0) / 2
    likelihood = np.exp(log_likelihood - log_likelihood.max())
    kept = likelihood > _UNLIKELY
    return Growth(a[kept], b[kept], c[kept], likelihood[kept] / likelihood[kept].sum())


def _laws(labels: Floats, accuracy: Floats, sd: Floats) -> tuple[Floats, Floats, Floats]:
    """a, b and c of the laws that pass near the first and the last point.

    Where none of them grows within the bounds (the accuracy falls, or is below ½) they are flat.
    """
    ends = [
        np.linspace(
            accuracy[place] - _REACH * sd[place], accuracy[place] + _REACH * sd[place], _STEPS
        )
        for place in (0, -1)
    ]
    first, last, c = (each.ravel() for each in np.meshgrid(*ends, _EXPONENTS))
    b = (last - first) / (labels[0] ** -c - labels[-1] ** -c)
    a = first + b * labels[0] ** -c
    allowed = (b >= 0) & (a >= _CEILING[0]) & (a <= _CEILING[1])
    if allowed.any():
        return a[allowed], b[allowed], c[allowed]
    flat = np.clip(ends[1], *_CEILING)
    return flat, np.zeros_like(flat), np.ones_like(flat)
