"""The first n labels train, the exploration labels test."""

from dataclasses import replace
from itertools import pairwise

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from app.preference.answers import Answers, fit_answers
from app.preference.learning_curve import (
    majorities,
    measure_learning_curve,
    sizes_of,
    without_groups,
)
from app.selection.model.posterior import calibrate, preference_probability
from tests.preference.answers import PlantedReward


@pytest.mark.parametrize(
    ("labels", "sizes"),
    [
        (0, []),
        (49, []),
        (50, [50]),
        (51, [50, 51]),
        (100, [50, 100]),
        (1000, [50, 100, 200, 400, 800, 1000]),
    ],
)
def test_the_sizes_double_from_50_and_end_with_all(labels: int, sizes: list[int]) -> None:
    assert sizes_of(labels) == sizes


@given(st.integers(0, 1_000_000))
def test_there_are_about_a_dozen_sizes_and_they_rise(labels: int) -> None:
    sizes = sizes_of(labels)
    assert len(sizes) <= 16
    assert all(low < high for low, high in pairwise(sizes))


def answers(targets: list[float], pairs: list[int]) -> Answers:
    count = len(targets)
    return Answers(
        np.arange(1.0, count + 1)[:, None],
        np.array(targets),
        np.ones(count),
        np.arange(count),
        np.array(pairs),
        np.array(pairs),
    )


def test_a_pair_is_one_answer_and_without_a_majority_none() -> None:
    found = majorities(answers([1, 0, 0, 0.5, 1, 0, 0.5, 1], [1, 2, 2, 3, 4, 4, 5, 5]))

    # Pair 2 is turned; 3 is a tie, 4 one of each; 5 a tie and a preference.
    assert found.pairs.tolist() == [1, 2, 5]
    assert found.differences.ravel().tolist() == [1, -2, 7]
    assert found.targets.tolist() == [1, 1, 1]


def test_labels_of_groups_that_are_tested_do_not_train() -> None:
    some = replace(answers([1, 1, 1, 1], [0, 1, 2, 3]), groups=np.array([7, 8, 7, 9]))

    assert without_groups(some, np.array([7, 1])).pairs.tolist() == [1, 3]


def test_the_accuracy_is_that_of_models_fitted_to_the_first_labels_alone() -> None:
    reward = PlantedReward(6)
    training, test = reward.labels(300), reward.test(400)

    learning = measure_learning_curve(training, majorities(test), np.random.default_rng(0))

    assert learning.labels.tolist() == [50, 100, 200, 300]
    for size, accuracy in zip(learning.labels, learning.accuracy, strict=True):
        first = training.select(slice(int(size)))
        model = fit_answers(first)
        gaps = test.differences @ model.mean
        assert accuracy == pytest.approx(((gaps > 0) == (test.targets == 1)).mean())


def test_the_log_loss_is_that_of_calibrated_models_on_the_labels_themselves() -> None:
    reward = PlantedReward(6)
    training, test = reward.labels(300), reward.test(400)
    test.targets[:40] = 0.5

    learning = measure_learning_curve(
        training, majorities(test), np.random.default_rng(0), said=test
    )

    for size, found in zip(learning.labels, learning.log_loss, strict=True):
        first = training.select(slice(int(size)))
        model = calibrate(
            fit_answers(first),
            first.differences,
            first.targets,
            first.groups,
            weights=first.weights,
        )
        p = preference_probability(test.differences @ model.mean, model.variances(test.differences))
        expected = -np.where(
            test.targets == 0.5,
            (np.log(p) + np.log1p(-p)) / 2,
            np.where(test.targets == 1, np.log(p), np.log1p(-p)),
        )
        assert found == pytest.approx(expected.mean())
    assert learning.log_loss[-1] < learning.log_loss[0] < np.log(2)


def test_the_same_labels_and_seed_give_the_same() -> None:
    reward = PlantedReward(6)
    training, test = reward.labels(120), majorities(reward.test(250))

    one = measure_learning_curve(training, test, np.random.default_rng(3))
    other = measure_learning_curve(training, test, np.random.default_rng(3))

    np.testing.assert_array_equal(one.accuracy, other.accuracy)
    np.testing.assert_array_equal(one.tested, other.tested)
    np.testing.assert_array_equal(one.trained, other.trained)


@pytest.mark.slow
def test_the_spread_over_training_labels_is_that_of_fresh_ones() -> None:
    """One Newton step from the fit says how far other labels would have led."""
    reward = PlantedReward(5)
    test = majorities(reward.test(4000))
    runs = [
        measure_learning_curve(reward.labels(200), test, np.random.default_rng(0))
        for _ in range(30)
    ]

    fresh = np.std([run.accuracy for run in runs], axis=0)
    told = np.mean([run.trained.std(axis=0) for run in runs], axis=0)

    assert (told > fresh / 2).all()
    assert (told < fresh * 2).all()


def test_prompts_of_one_group_are_drawn_together() -> None:
    reward = PlantedReward(5)
    training, test = reward.labels(100), majorities(reward.test(300))
    tenfold = test.select(np.tile(np.arange(len(test)), 10))

    one = measure_learning_curve(training, test, np.random.default_rng(0))
    ten = measure_learning_curve(training, tenfold, np.random.default_rng(0))

    # Ten copies of each prompt's answer are not ten times as sure.
    np.testing.assert_allclose(ten.tested, one.tested)


@settings(max_examples=20, deadline=None)
@given(st.integers(50, 160), st.integers(1, 60), st.integers(0, 2**32))
def test_accuracies_are_shares_whatever_the_labels(count: int, tests: int, seed: int) -> None:
    reward = PlantedReward(4, seed)
    learning = measure_learning_curve(
        reward.labels(count), majorities(reward.test(tests)), np.random.default_rng(0)
    )

    for shares in (learning.accuracy, learning.tested):
        assert (shares >= 0).all()
        assert (shares <= 1).all()
    assert np.isfinite(learning.trained).all()
