"""The law acc(n) = a − b·n^(−c), and what it expects."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from app.preference.answers import Answers, fit_answers
from app.preference.growth import fit_growth
from app.preference.learning_curve import LearningCurve, majorities, measure_learning_curve
from app.selection.arrays import Float64Array
from tests.preference.answers import PlantedReward


def curve(accuracy: Float64Array, sd: float, seed: int = 0) -> LearningCurve:
    """A curve over 50, 100, 200 … labels, whose points have independent noise."""
    rng = np.random.default_rng(seed)
    noise = sd * rng.standard_normal((400, len(accuracy)))
    return LearningCurve(
        50 * 2 ** np.arange(len(accuracy)),
        accuracy,
        accuracy + noise,
        np.zeros_like(noise),
        np.full(len(accuracy), 0.6),
    )


def law(a: float, b: float, c: float, points: int) -> Float64Array:
    """The law's accuracies at 50, 100, 200 … labels."""
    labels = 50.0 * 2 ** np.arange(points)
    return np.asarray(a - b * labels**-c, dtype=np.float64)


@pytest.mark.parametrize(
    ("a", "b", "c"), [(0.8, 1.5, 0.5), (0.7, 0.5, 0.3), (0.95, 2.0, 0.4), (0.65, 3.0, 1.0)]
)
def test_a_curve_that_follows_the_law_is_continued(a: float, b: float, c: float) -> None:
    growth = fit_growth(curve(law(a, b, c, points=7), sd=0.001))

    for more in (1.1, 1.5, 2):
        expected = growth.accuracy(3200 * more)
        truth = a - b * (3200 * more) ** -c
        assert expected.low <= truth <= expected.high
        assert expected.value == pytest.approx(truth, abs=0.004)


def test_a_noisier_curve_is_less_sure() -> None:
    accuracy = law(0.8, 1.5, 0.5, points=6)

    sure, unsure = (fit_growth(curve(accuracy, sd)).gain(1600, 800) for sd in (0.002, 0.02))

    assert sure.high - sure.low < unsure.high - unsure.low


@pytest.mark.parametrize("accuracy", [[0.9, 0.8, 0.7, 0.6], [0.6, 0.6, 0.6], [1.0, 1.0, 1.0]])
def test_a_curve_that_no_law_fits_is_flat(accuracy: list[float]) -> None:
    growth = fit_growth(curve(np.array(accuracy), sd=0.001))

    gain, then = growth.gain(400, 100), growth.accuracy(500)
    assert 0 <= gain.low <= gain.high < 0.005
    assert 0.5 <= then.low <= then.high <= 1


@settings(max_examples=50, deadline=None)
@given(
    st.lists(st.floats(0, 1), min_size=3, max_size=12),
    st.floats(0, 0.2),
    st.integers(1, 10**6),
)
def test_laws_stay_within_their_bounds(accuracy: list[float], sd: float, more: int) -> None:
    growth = fit_growth(curve(np.array(accuracy), sd))

    a, b, c = growth.best
    assert 0.5 <= a <= 1
    assert b >= 0
    assert 0 < c <= 1
    assert growth.likelihood.sum() == pytest.approx(1)
    gain = growth.gain(100, more)
    assert 0 <= gain.low <= gain.value <= gain.high
    then = growth.accuracy(50 * 2 ** len(accuracy) + more)
    assert then.low <= then.value <= then.high <= 1


@pytest.mark.slow
def test_what_is_expected_covers_what_a_far_longer_run_measures() -> None:
    """Twenty planted projects, each continued to four times its labels, on a test of thousands."""
    covered = [_longer_run_is_covered(seed) for seed in range(20)]

    # A fixed computation: 95% are to be expected, and fewer than three quarters would be a lie.
    assert np.mean(covered) >= 0.75


def _longer_run_is_covered(seed: int) -> bool:
    reward = PlantedReward(4, seed)
    labels, many = reward.labels(1600), majorities(reward.test(8000))
    learning = measure_learning_curve(
        labels.select(slice(400)), majorities(reward.test(500)), np.random.default_rng(0)
    )
    expected = fit_growth(learning).accuracy(1600)
    model = fit_answers(labels)
    return bool(expected.low <= _accuracy(model.mean, many) <= expected.high)


def _accuracy(weights: Float64Array, test: Answers) -> float:
    return float((test.differences @ weights > 0).mean())
