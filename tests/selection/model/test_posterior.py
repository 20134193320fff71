import numpy as np
import pytest
from numpy.typing import NDArray
from sklearn.linear_model import LogisticRegression

from app.selection.model.posterior import (
    fit_posterior,
    preference_probability,
    sigmoid,
)

Floats = NDArray[np.float64]


def _labels(seed: int, labels: int, features: int) -> tuple[Floats, Floats]:
    rng = np.random.default_rng(seed)
    z = rng.standard_normal((labels, features))
    theta = rng.standard_normal(features)
    return z, (rng.random(labels) < sigmoid(z @ theta)).astype(np.float64)


def _reference(z: Floats, t: Floats, w: Floats, prior_precision: float) -> Floats:
    """scikit-learn's weights; it wants both classes, so each label is given with its mirror."""
    both = np.concatenate([z, -z])
    says = np.concatenate([np.ones(len(z)), np.zeros(len(z))])
    ours = np.concatenate([w * t, w * t]) / 2
    theirs = np.concatenate([w * (1 - t), w * (1 - t)]) / 2
    model = LogisticRegression(
        C=1 / prior_precision, fit_intercept=False, tol=1e-12, max_iter=10_000, solver="newton-cg"
    )
    model.fit(
        np.concatenate([both, both]),
        np.concatenate([says, 1 - says]),
        sample_weight=np.concatenate([ours, theirs]),
    )
    return np.asarray(model.coef_[0], dtype=np.float64)


@pytest.mark.parametrize("prior_precision", [0.1, 1.0, 10.0])
@pytest.mark.parametrize(("labels", "features"), [(7, 20), (300, 12)])
def test_the_mean_agrees_with_scikit_learn(
    prior_precision: float, labels: int, features: int
) -> None:
    z, t = _labels(1, labels, features)

    found = fit_posterior(z, t, prior_precision=prior_precision)

    expected = _reference(z, t, np.ones(labels), prior_precision)
    np.testing.assert_allclose(found.mean, expected, atol=1e-6)


def test_a_tie_is_half_a_label_each_way_and_a_strength_is_a_number_of_labels() -> None:
    z, t = _labels(2, 60, 5)
    t[::4] = 0.5
    weights = np.random.default_rng(3).integers(1, 4, size=60).astype(np.float64)

    found = fit_posterior(z, t, prior_precision=2.0, weights=weights)

    ties = t == 0.5
    each = np.repeat(np.arange(60), weights.astype(np.int64))
    spelt_out = fit_posterior(z[each], t[each], prior_precision=2.0)
    halves = fit_posterior(
        np.concatenate([z, z[ties]]),
        np.concatenate([np.where(ties, 1.0, t), np.zeros(ties.sum())]),
        prior_precision=2.0,
        weights=np.concatenate([np.where(ties, weights / 2, weights), weights[ties] / 2]),
    )
    np.testing.assert_allclose(found.mean, _reference(z, t, weights, 2.0), atol=1e-6)
    for same in (spelt_out, halves):
        np.testing.assert_allclose(found.mean, same.mean, atol=1e-8)
        np.testing.assert_allclose(found.precision, same.precision, atol=1e-6)


def test_a_warm_start_changes_nothing_but_the_way_there() -> None:
    z, t = _labels(4, 200, 8)

    cold = fit_posterior(z, t, prior_precision=0.5)
    warm = fit_posterior(z, t, prior_precision=0.5, start=np.full(8, 50.0))

    np.testing.assert_allclose(cold.mean, warm.mean, atol=1e-8)


def test_swapping_the_two_responses_of_every_label_changes_nothing() -> None:
    z, t = _labels(5, 80, 6)

    one = fit_posterior(z, t, prior_precision=1.0)
    swapped = fit_posterior(-z, 1 - t, prior_precision=1.0)

    np.testing.assert_allclose(one.mean, swapped.mean, atol=1e-9)


def test_ninety_percent_intervals_hold_the_true_gap_ninety_percent_of_the_time() -> None:
    rng = np.random.default_rng(6)
    held = []
    for _ in range(150):
        theta = rng.standard_normal(10) / np.sqrt(2.0)
        z = rng.standard_normal((150, 10))
        t = (rng.random(150) < sigmoid(z @ theta)).astype(np.float64)
        posterior = fit_posterior(z, t, prior_precision=2.0)
        fresh = rng.standard_normal((20, 10))
        half_width = 1.645 * np.sqrt(posterior.variances(fresh))
        held.append(np.abs(fresh @ (posterior.mean - theta)) <= half_width)

    assert abs(np.mean(held) - 0.9) < 0.03


def test_draws_have_the_posteriors_mean_and_covariance() -> None:
    z, t = _labels(7, 100, 4)
    posterior = fit_posterior(z, t, prior_precision=1.0)

    draws = posterior.draws(np.random.default_rng(8), 40_000)

    np.testing.assert_allclose(draws.mean(axis=0), posterior.mean, atol=0.02)
    np.testing.assert_allclose(np.cov(draws.T), posterior.covariance, atol=0.01)
    np.testing.assert_allclose(posterior.variances(np.eye(4)), np.diag(posterior.covariance))


def test_the_expected_preference_agrees_with_sampling() -> None:
    rng = np.random.default_rng(9)
    mean, variance = np.array([0.0, 0.5, -2.0]), np.array([4.0, 0.3, 2.0])

    sampled = sigmoid(mean + np.sqrt(variance) * rng.standard_normal((200_000, 3))).mean(axis=0)

    np.testing.assert_allclose(preference_probability(mean, variance), sampled, atol=0.02)
