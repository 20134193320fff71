import numpy as np
import pytest
from numpy.typing import NDArray
from sklearn.linear_model import LogisticRegression

from app.selection.model.posterior import (
    calibrate,
    fit_posterior,
    left_out,
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


def _grouped(
    seed: int, groups: int, size: int, features: int, strength: float
) -> tuple[Floats, Floats, NDArray[np.int64]]:
    """Labels of a model whose weights are of the given size, so many in a group."""
    rng = np.random.default_rng(seed)
    theta = strength * rng.standard_normal(features)
    z = rng.standard_normal((groups * size, features)) / np.sqrt(features)
    t = (rng.random(len(z)) < sigmoid(z @ theta)).astype(np.float64)
    return z, t, np.repeat(np.arange(groups), size)


@pytest.mark.parametrize("size", [1, 3])
def test_calibration_leaves_out_groups_as_a_fit_without_them_does(size: int) -> None:
    z, t, groups = _grouped(4, 30, size, 6, 2.0)
    w = np.random.default_rng(5).uniform(0.5, 2, size=len(t))
    posterior = fit_posterior(z, t, prior_precision=3.0, weights=w)

    gaps, variances = left_out(posterior, z, t, w, groups)

    for group in range(30):
        others, own = groups != group, groups == group
        without = fit_posterior(z[others], t[others], prior_precision=3.0, weights=w[others])
        np.testing.assert_allclose(gaps[own], z[own] @ without.mean, atol=0.05)
        np.testing.assert_allclose(variances[own], without.variances(z[own]), rtol=0.15)


def test_calibration_makes_a_timid_model_as_sure_as_it_may_be() -> None:
    z, t, groups = _grouped(6, 400, 2, 5, 4.0)
    timid = fit_posterior(z, t, prior_precision=60.0)

    sure = calibrate(timid, z, t, groups)

    new, said, _ = _grouped(6, 2000, 2, 5, 4.0)
    wanted = fit_posterior(new @ timid.mean[:, None], said, prior_precision=1e-6).mean[0]
    factor = sure.mean[0] / timid.mean[0]
    np.testing.assert_allclose(sure.mean, factor * timid.mean)
    np.testing.assert_allclose(sure.covariance, factor**2 * timid.covariance)
    assert wanted > 1.5
    assert factor == pytest.approx(wanted, rel=0.25)


def test_calibration_does_not_make_a_model_of_noise_sure() -> None:
    rng = np.random.default_rng(7)
    z = rng.standard_normal((300, 20))
    t = rng.integers(0, 2, size=300).astype(np.float64)
    eager = fit_posterior(z, t, prior_precision=0.1)

    calm = calibrate(eager, z, t, np.arange(300))

    assert np.abs(calm.mean).max() < 0.5 * np.abs(eager.mean).max()


def test_the_copies_of_a_label_do_not_vouch_for_each_other() -> None:
    z, t, groups = _grouped(8, 40, 1, 20, 1.0)
    thrice = np.repeat(np.arange(40), 3)
    z, t, groups = z[thrice], t[thrice], groups[thrice]
    posterior = fit_posterior(z, t, prior_precision=1.0)

    honest = calibrate(posterior, z, t, groups)
    fooled = calibrate(posterior, z, t, np.arange(120))

    assert np.abs(honest.mean).max() < np.abs(fooled.mean).max()


def test_without_labels_in_a_large_group_the_rest_of_it_is_still_left_out_in_parts() -> None:
    z, t, _ = _grouped(9, 200, 1, 4, 2.0)
    posterior = fit_posterior(z, t, prior_precision=1.0)

    found = calibrate(posterior, z, t, np.zeros(200, dtype=np.int64))

    assert np.isfinite(found.mean).all()
