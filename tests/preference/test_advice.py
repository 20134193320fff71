"""What the advice says, and when it changes sides."""

from dataclasses import replace

import numpy as np
import pytest

from app.preference.advice import Budget, advise
from app.preference.measurement import CurveMeasurement, Evidence, measure_curve
from tests.preference.answers import PlantedReward

BUDGET = Budget(unit="labels", limit=5000, spent=400, exploration=0.1, counted_labels=600)


def planted(
    labels: int, tests: int, strength: float = 6, mean_cost: float | None = None
) -> CurveMeasurement:
    reward = PlantedReward(strength)
    return measure_curve(Evidence(reward.labels(labels), reward.test(tests), mean_cost=mean_cost))


def test_it_says_how_many_exploration_labels_are_missing() -> None:
    measured = planted(400, 150)

    advice = advise(measured, BUDGET)

    assert measured.points == ()
    assert measured.test_labels == 150
    assert "50 more exploration labels" in advice
    assert "`exploration` is 0" not in advice
    assert "`exploration` is 0" in advise(measured, replace(BUDGET, exploration=0))


def test_ties_are_no_test() -> None:
    reward = PlantedReward(6)
    test = reward.test(220)
    test.targets[:30] = 0.5

    measured = measure_curve(Evidence(reward.labels(400), test))

    assert measured.test_labels == 190
    assert "10 more exploration labels" in advise(measured, BUDGET)


def test_without_labels_to_train_on_there_is_no_curve() -> None:
    measured = planted(49, 300)

    assert measured.points == ()
    assert "there are 49" in advise(measured, BUDGET)


def test_where_nothing_is_learnt_it_says_so() -> None:
    measured = planted(800, 400, strength=0)

    assert advise(measured, BUDGET).startswith("Nothing is learnt so far")


def test_it_is_too_early_with_two_points() -> None:
    assert advise(planted(90, 1000), BUDGET).startswith("Too early to say")


@pytest.mark.slow
def test_it_changes_sides_as_labels_come() -> None:
    """Early on the next tenth of the budget brings much, late it brings nothing."""
    early, late = planted(200, 4000, strength=8), planted(12_000, 4000, strength=8)

    assert advise(early, replace(BUDGET, limit=20_000)).startswith("Go on")
    assert advise(late, replace(BUDGET, limit=20_000)).startswith("Stop")


def test_with_few_test_labels_it_is_too_uncertain() -> None:
    assert advise(planted(400, 200), BUDGET).startswith("Too uncertain")


@pytest.mark.parametrize(
    ("budget", "words"),
    [
        (BUDGET, "The next tenth of the budget (500 labels)"),
        (replace(BUDGET, spent=5000), "A tenth more budget (500 labels)"),
        (replace(BUDGET, limit=None), "A tenth more labels (60 labels)"),
        (replace(BUDGET, limit=3, spent=2), "The next tenth of the budget (1 label)"),
        (replace(BUDGET, unit="minutes", limit=500), "The next tenth of the budget (200 labels)"),
        (replace(BUDGET, unit="money", limit=500), "The next tenth of the budget (200 labels)"),
    ],
)
def test_a_tenth_of_the_budget_is_told_in_labels(budget: Budget, words: str) -> None:
    assert words in advise(planted(400, 300, mean_cost=0.25), budget)


def test_a_budget_in_minutes_of_which_nothing_is_spent_has_no_tenth_in_labels() -> None:
    advice = advise(planted(400, 300), replace(BUDGET, unit="minutes"))

    assert "A tenth more labels (60 labels)" in advice


def test_all_labels_of_tested_groups_leave_nothing_to_train_on() -> None:
    reward = PlantedReward(6)
    training, test = reward.labels(400), reward.test(300)
    same = replace(training, groups=np.full(400, test.groups[0]))

    measured = measure_curve(Evidence(same, test))

    assert measured.points == ()
    assert measured.training_labels == 0
    assert "there are 0" in advise(measured, BUDGET)
