"""Bayesian logistic regression on differences of features: Bradley–Terry with a Laplace posterior.

With ``z = φ(x, y_i) − φ(x, y_j)``, a target ``t`` (1: ``y_i`` preferred, 0: ``y_j``, ½: a tie,
which is half a label each way) and a weight ``w``, the log posterior is

    Σ w [t log σ(θᵀz) + (1 − t) log σ(−θᵀz)] − ½ λ|θ|²

(Bradley and Terry 1952; Laplace's approximation as in MacKay 1992). Its maximum is found by
Newton's steps; the posterior is the normal distribution around it whose precision is the Hessian
there.
"""

from dataclasses import dataclass
from functools import cached_property

import numpy as np

from app.selection.arrays import Float64Array, FloatArray, IntArray

_MOST_STEPS = 100
_MOST_HALVINGS = 40
_SMALL_GRADIENT = 1e-9
_PROBIT = np.pi / 8
_LOG_FACTOR = 0.4
"""What the logarithm of the factor is thought to be before there are labels ..."""
_FACTOR_SPREAD = 0.5
"""... and the standard deviation of that."""
_LOG_FACTORS = np.linspace(-2.0, 3.0, 201)
"""The factors that are tried, in steps of 2.5%."""
_MOST_LEFT_OUT = 64
"""Larger groups are left out in parts."""
_TINY = 1e-15
_LEAST_PROBABILITY = 1e-12
"""Keeps the loss of one wrong label finite."""


@dataclass(frozen=True)
class Posterior:
    """A normal distribution over the weights of the features."""

    mean: Float64Array
    """``(features,)``: where the log posterior is highest."""
    precision: Float64Array
    """``(features, features)``: λI + Σ w p(1 − p) z zᵀ."""

    @cached_property
    def _factor(self) -> Float64Array:
        """Lower Cholesky factor of the precision."""
        return np.asarray(np.linalg.cholesky(self.precision), dtype=np.float64)

    @cached_property
    def covariance(self) -> Float64Array:
        """``(features, features)``."""
        return np.asarray(np.linalg.inv(self.precision), dtype=np.float64)

    def variances(self, vectors: FloatArray) -> Float64Array:
        """The variance of ``θᵀv`` for each row: ``(n,)`` from ``(n, features)``."""
        rows = np.asarray(vectors, dtype=np.float64)
        return np.asarray(((rows @ self.covariance) * rows).sum(axis=1))

    def draws(self, rng: np.random.Generator, count: int) -> Float64Array:
        """Weights drawn from the posterior: ``(count, features)``."""
        noise = rng.standard_normal((len(self.mean), count))
        shifts = np.linalg.solve(self._factor.T, noise)
        return np.asarray(self.mean + shifts.T)


def sigmoid(gaps: FloatArray) -> Float64Array:
    """σ, for gaps of any size."""
    return np.asarray(0.5 + 0.5 * np.tanh(np.asarray(gaps, dtype=np.float64) / 2))


def binary_entropy(p: FloatArray) -> Float64Array:
    """The entropy of a preference, in nats."""
    inside = np.clip(np.asarray(p, dtype=np.float64), _TINY, 1 - _TINY)
    return np.asarray(-inside * np.log(inside) - (1 - inside) * np.log1p(-inside))


def preference_probability(gap_mean: FloatArray, gap_variance: FloatArray) -> Float64Array:
    """The expected ``σ(gap)`` of normal gaps, by MacKay's approximation: σ(m / √(1 + π v / 8))."""
    return sigmoid(gap_mean / np.sqrt(1.0 + _PROBIT * gap_variance))


def log_losses(p: FloatArray, targets: FloatArray) -> Float64Array:
    """−t log p − (1 − t) log(1 − p) of each preference, in nats; a tie has the target ½."""
    inside = np.clip(np.asarray(p, dtype=np.float64), _LEAST_PROBABILITY, 1 - _LEAST_PROBABILITY)
    return np.asarray(-targets * np.log(inside) - (1 - targets) * np.log1p(-inside))


def fit_posterior(
    differences: FloatArray,
    targets: FloatArray,
    *,
    prior_precision: float,
    weights: FloatArray | None = None,
    start: FloatArray | None = None,
) -> Posterior:
    """The Laplace posterior given labels.

    Args:
        differences: ``z`` of each label, ``(labels, features)``.
        targets: 1 where the first response is preferred, 0 where the second, ½ for a tie:
            ``(labels,)``.
        prior_precision: λ, of the prior N(0, I/λ).
        weights: how much each label counts, as its strength: ``(labels,)``; None: one each.
        start: weights of an earlier fit, ``(features,)``, to begin from; changes the time only.
    """
    z = np.asarray(differences, dtype=np.float64)
    t = np.asarray(targets, dtype=np.float64)
    w = np.ones(len(t)) if weights is None else np.asarray(weights, dtype=np.float64)
    theta = np.zeros(z.shape[1]) if start is None else np.array(start, dtype=np.float64)
    value = _log_posterior(theta, z, t, w, prior_precision)
    for _ in range(_MOST_STEPS):
        gradient, precision = _derivatives(theta, z, t, w, prior_precision)
        if np.abs(gradient).max() < _SMALL_GRADIENT:
            break
        step = np.asarray(np.linalg.solve(precision, gradient), dtype=np.float64)
        theta, value, moved = _climb(theta, step, value, (z, t, w, prior_precision))
        if not moved:
            break
    _, precision = _derivatives(theta, z, t, w, prior_precision)
    return Posterior(theta, precision)


def calibrate(
    posterior: Posterior,
    differences: FloatArray,
    targets: FloatArray,
    groups: IntArray,
    *,
    weights: FloatArray | None = None,
) -> Posterior:
    """The posterior with all weights scaled by one factor, so that its probabilities are right.

    The prior keeps the weights small where labels are few, and the model sounds less sure than it
    could. The factor is the one under which each label is likeliest as told by the model without
    the labels of its group. Leaving out a group is approximated by one Newton step (as in Rad and
    Maleki, arXiv 1801.10243, for single rows). A normal prior on the factor's logarithm, around
    what other data needed, keeps it there while labels are few.

    Args:
        posterior: as ``fit_posterior`` found it.
        differences: the labels it was fitted to, as ``targets`` and ``weights`` are.
        targets: as for ``fit_posterior``.
        groups: the prompt (or group of like prompts) of each label: ``(labels,)``.
        weights: as for ``fit_posterior``.
    """
    z = np.asarray(differences, dtype=np.float64)
    t = np.asarray(targets, dtype=np.float64)
    w = np.ones(len(t)) if weights is None else np.asarray(weights, dtype=np.float64)
    gaps, variances = left_out(posterior, z, t, w, groups)

    def cost(log_factor: float) -> float:
        factor = np.exp(log_factor)
        told = factor * gaps / np.sqrt(1 + _PROBIT * factor**2 * variances)
        losses = w * (t * np.logaddexp(0, -told) + (1 - t) * np.logaddexp(0, told))
        return float(losses.sum() + ((log_factor - _LOG_FACTOR) / _FACTOR_SPREAD) ** 2 / 2)

    factor = float(np.exp(min(_LOG_FACTORS, key=cost)))
    return Posterior(factor * posterior.mean, posterior.precision / factor**2)


def left_out(
    posterior: Posterior, z: Float64Array, t: Float64Array, w: Float64Array, groups: IntArray
) -> tuple[Float64Array, Float64Array]:
    """Mean and variance of each label's gap without the labels of its group: ``(labels,)`` twice.

    With the group's rows Z, S = Z H⁻¹ Zᵀ and curvatures D, the covariance of its gaps becomes
    S (I − D S)⁻¹.
    """
    means = z @ posterior.mean
    p = sigmoid(means)
    slopes, curvatures = w * (t - p), w * p * (1 - p)
    half = z @ posterior.covariance
    gaps, variances = np.empty(len(t)), np.empty(len(t))
    order = np.argsort(groups, kind="stable")
    starts = np.flatnonzero(np.diff(groups[order])) + 1
    for group in np.split(order, starts):
        for start in range(0, len(group), _MOST_LEFT_OUT):
            rows = group[start : start + _MOST_LEFT_OUT]
            shared = half[rows] @ z[rows].T
            without = np.eye(len(rows)) - curvatures[rows, None] * shared
            covariance = np.linalg.solve(without.T, shared.T).T
            gaps[rows] = means[rows] - covariance @ slopes[rows]
            variances[rows] = np.diag(covariance)
    return gaps, np.maximum(variances, 0)


def _climb(
    theta: Float64Array,
    step: Float64Array,
    value: float,
    problem: tuple[Float64Array, Float64Array, Float64Array, float],
) -> tuple[Float64Array, float, bool]:
    """A Newton step, halved until the log posterior does not fall: a full step may overshoot."""
    size = 1.0
    for _ in range(_MOST_HALVINGS):
        following = theta + size * step
        following_value = _log_posterior(following, *problem)
        if following_value >= value:
            return following, following_value, not np.array_equal(following, theta)
        size /= 2
    return theta, value, False


def _log_posterior(
    theta: Float64Array, z: Float64Array, t: Float64Array, w: Float64Array, prior_precision: float
) -> float:
    gap = z @ theta
    likelihood = -(w * (t * np.logaddexp(0, -gap) + (1 - t) * np.logaddexp(0, gap))).sum()
    return float(likelihood - prior_precision / 2 * (theta @ theta))


def _derivatives(
    theta: Float64Array, z: Float64Array, t: Float64Array, w: Float64Array, prior_precision: float
) -> tuple[Float64Array, Float64Array]:
    p = sigmoid(z @ theta)
    gradient = z.T @ (w * (t - p)) - prior_precision * theta
    precision = (z * (w * p * (1 - p))[:, None]).T @ z
    precision[np.diag_indices_from(precision)] += prior_precision
    return gradient, precision
