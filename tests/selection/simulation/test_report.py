from collections.abc import Mapping, Sequence

import numpy as np
import pytest
from numpy.typing import NDArray

from app.selection.simulation.arms import AGAIN, BASELINE, PLAIN
from app.selection.simulation.bootstrap import together
from app.selection.simulation.measures import Measure, Trace
from app.selection.simulation.report import Report, make_report

BUDGETS = (25, 50, 100)
PROMPTS = 100
Values = NDArray[np.float64]


def _traces(
    accuracy: Sequence[float],
    *,
    luck: int = 0,
    splits: int = 30,
    gold: Values | None = None,
    common: bool = True,
) -> list[Trace]:
    """Held-out prompts of 10 pairs each, with luck that is the same for all arms of one seed."""
    traces = []
    for number in range(splits):
        held_out = np.sort(np.random.default_rng([0, number]).permutation(PROMPTS)[:30])
        rng = np.random.default_rng([luck, number])
        drawn = rng.normal(0, 0.05, size=30 if common else (len(accuracy), 30))
        right = 10 * (np.array(accuracy)[:, None] + drawn)
        loss = 10 * (0.7 - 0.2 * np.array(accuracy)[:, None]) + 0 * right
        known = np.zeros(30) if gold is None else np.ones(30)
        picks = np.zeros(right.shape) if gold is None else gold[:, None] + 0 * right
        tens = np.full(30, 10.0)
        traces.append(
            Trace(
                held_out,
                counts={
                    Measure.ACCURACY: tens,
                    Measure.LOG_LOSS: tens,
                    Measure.GOLD: known,
                    Measure.TIMIDITY: tens,
                },
                sums={
                    Measure.ACCURACY: right,
                    Measure.LOG_LOSS: loss,
                    Measure.GOLD: picks,
                    Measure.TIMIDITY: 0.5 + 0 * right,
                },
            )
        )
    return traces


def _report(arms: Mapping[str, Sequence[Trace]]) -> Report:
    random = arms[BASELINE]
    return make_report({AGAIN: random, PLAIN: random, **arms}, BUDGETS, PROMPTS, seed=0)


def test_intervals_hold_the_mean_and_common_luck_falls_out_of_a_difference() -> None:
    report = _report({BASELINE: _traces([0.6, 0.65, 0.7]), "better": _traces([0.65, 0.7, 0.75])})

    random = report.arms[BASELINE][Measure.ACCURACY]
    better = report.arms["better"][Measure.ACCURACY]
    assert report.informative
    for estimate, mean in zip(random.values, (0.6, 0.65, 0.7), strict=True):
        assert estimate.low < mean < estimate.high
        assert estimate.high - estimate.low > 0.004
    for difference in better.differences:
        assert difference.mean == pytest.approx(0.05)
        assert difference.high - difference.low < 1e-9


def test_a_better_arm_is_worth_more_labels_by_each_measure() -> None:
    report = _report({BASELINE: _traces([0.6, 0.65, 0.7]), "better": _traces([0.65, 0.7, 0.75])})

    for measure in (Measure.ACCURACY, Measure.LOG_LOSS):
        better = report.arms["better"][measure]
        assert better.times.estimate.mean == pytest.approx(2.0, rel=0.1)
        assert better.times.estimate.low > 1.5
        assert [each.mean for each in better.times_at][:2] == pytest.approx([2, 2], rel=0.05)
        random = report.arms[BASELINE][measure].times.estimate
        assert (random.mean, random.low, random.high) == pytest.approx((1, 1, 1))
    assert [each.mean for each in report.timidity["better"]] == pytest.approx([0.05] * 3)


def test_in_all_compares_with_the_model_of_the_vectors_alone() -> None:
    report = _report(
        {
            PLAIN: _traces([0.55, 0.6, 0.65]),
            BASELINE: _traces([0.6, 0.65, 0.7]),
            "better": _traces([0.625, 0.675, 0.725]),
        }
    )

    by_arm = {name: arm[Measure.ACCURACY].times_in_all for name, arm in report.arms.items()}
    assert by_arm[PLAIN].estimate.mean == pytest.approx(1)
    assert by_arm[BASELINE].estimate.mean == pytest.approx(2, rel=0.1)
    assert by_arm["better"].estimate.mean > 2.3


def test_the_smallest_effect_is_what_random_against_itself_allows() -> None:
    arms = {BASELINE: _traces([0.6, 0.65, 0.7])}
    for luck, width in ((1, 1.05), (2, 1.05)):
        again = {AGAIN: _traces([0.6, 0.65, 0.7], luck=luck)}
        assert _report({**arms, **again}).smallest[Measure.ACCURACY] > width

    assert _report(arms).smallest[Measure.ACCURACY] == pytest.approx(1)


def test_a_file_on_which_random_learns_nothing_is_uninformative() -> None:
    for means in ([0.5, 0.5, 0.5], [0.49, 0.5, 0.51]):
        report = _report({BASELINE: _traces(means, luck=1), "other": _traces([0.6, 0.7, 0.8])})

        assert not report.informative


def test_gold_is_left_out_where_no_response_has_a_score() -> None:
    without = _report({BASELINE: _traces([0.6, 0.65, 0.7])})
    known = _report({BASELINE: _traces([0.6, 0.65, 0.7], gold=np.array([0.2, 0.4, 0.6]))})

    assert Measure.GOLD not in without.arms[BASELINE]
    values = known.arms[BASELINE][Measure.GOLD].values
    assert [each.mean for each in values] == pytest.approx([0.2, 0.4, 0.6])


def test_intervals_for_all_budgets_at_once_are_wider_and_hold_that_often() -> None:
    rng = np.random.default_rng(3)
    everything = np.ones(6, dtype=np.bool_)
    outside = {"alone": 0, "together": 0}
    for _ in range(300):
        found = rng.normal(size=6)
        values = found + np.concatenate([np.zeros((1, 6)), rng.normal(size=(400, 6))])
        low, high = np.percentile(values[1:], (2.5, 97.5), axis=0)
        outside["alone"] += bool(((low > 0) | (high < 0)).any())
        outside["together"] += any(
            each.low > 0 or each.high < 0 for each in together(values, everything)
        )

    assert outside["alone"] / 300 > 0.15
    assert 0.02 < outside["together"] / 300 < 0.09
