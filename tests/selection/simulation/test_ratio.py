import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as some
from numpy.typing import NDArray

from app.selection.simulation.ratio import RisingCurve, log_times, log_times_at

BUDGETS = np.array([12.0, 25, 50, 100, 200, 400])
Values = NDArray[np.float64]


def _rising(labels: Values) -> Values:
    return np.asarray(0.5 + 0.05 * np.log(labels))


def _times(one: Values, other: Values) -> tuple[float, bool]:
    log, is_cut_off = log_times(RisingCurve(BUDGETS, one), RisingCurve(BUDGETS, other))
    return float(np.exp(log)), is_cut_off


@pytest.mark.parametrize("factor", [0.25, 0.5, 1.0, 2.0, 3.0])
def test_a_curve_that_is_shifted_by_a_factor_is_worth_that_factor(factor: float) -> None:
    times, is_cut_off = _times(_rising(factor * BUDGETS), _rising(BUDGETS))

    assert times == pytest.approx(factor, rel=0.01)
    assert not is_cut_off


@given(
    some.lists(some.floats(0.4, 0.9), min_size=6, max_size=6),
    some.lists(some.floats(0.4, 0.9), min_size=6, max_size=6),
)
def test_it_is_symmetric(one: list[float], other: list[float]) -> None:
    forth, back = _times(np.array(one), np.array(other)), _times(np.array(other), np.array(one))

    assert forth[0] == pytest.approx(1 / back[0], rel=1e-3)
    assert forth[1] == back[1]


def test_a_dip_by_chance_does_not_count_as_unlearning() -> None:
    dipped = _rising(BUDGETS)
    dipped[3] -= 0.02

    assert _times(dipped, dipped)[0] == pytest.approx(1, abs=1e-3)


def test_curves_that_share_no_value_are_as_far_apart_as_the_budgets_and_cut_off() -> None:
    times, is_cut_off = _times(np.full(6, 0.9), _rising(BUDGETS))

    assert times == pytest.approx(400 / 12)
    assert is_cut_off
    assert _times(_rising(BUDGETS), np.full(6, 0.9))[0] == pytest.approx(12 / 400)


def test_at_each_budget_it_is_what_the_baseline_needs_for_the_value_there() -> None:
    better, base = (
        RisingCurve(BUDGETS, _rising(2 * BUDGETS)),
        RisingCurve(BUDGETS, _rising(BUDGETS)),
    )

    at = np.exp(log_times_at(better, base))

    assert at[:-1] == pytest.approx([2] * 5, rel=1e-3)
    assert at[-1] == pytest.approx(1)  # the baseline has no more labels
