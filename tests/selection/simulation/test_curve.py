import numpy as np
import pytest

from app.selection.simulation.curve import labels_saved, make_report
from app.selection.simulation.run import Trace

BUDGETS = np.array([12.0, 25, 50, 100, 200, 400])


def _rising(
    labels: np.ndarray[tuple[int], np.dtype[np.float64]],
) -> np.ndarray[tuple[int], np.dtype[np.float64]]:
    return np.asarray(0.5 + 0.05 * np.log(labels))


def test_a_curve_that_needs_half_the_labels_saves_half() -> None:
    saved, is_cut_off = labels_saved(BUDGETS, _rising(2 * BUDGETS), _rising(BUDGETS))

    assert saved == pytest.approx(0.5)
    assert not is_cut_off


def test_the_same_curve_saves_nothing_and_a_worse_one_costs() -> None:
    assert labels_saved(BUDGETS, _rising(BUDGETS), _rising(BUDGETS))[0] == pytest.approx(0)

    cost, is_cut_off = labels_saved(BUDGETS, _rising(BUDGETS / 2), _rising(BUDGETS))

    assert -1.0 < cost < -0.5
    assert is_cut_off


def test_a_dip_by_chance_does_not_count_as_unlearning() -> None:
    dipped = _rising(BUDGETS)
    dipped[3] -= 0.02

    saved, _ = labels_saved(BUDGETS, dipped, dipped)

    assert saved == pytest.approx(0, abs=0.15)
    assert np.isfinite(saved)


def test_what_is_better_from_the_start_counts_from_the_first_budget() -> None:
    saved, is_cut_off = labels_saved(BUDGETS, np.full(6, 0.9), _rising(BUDGETS))

    assert saved == pytest.approx(1 - 12 * np.mean(1 / np.geomspace(50, 400, 60)))
    assert is_cut_off


def _traces(means: list[float], seed: int, splits: int = 30) -> list[Trace]:
    """Held-out prompts of 10 pairs each, with luck that is the same for all strategies."""
    traces = []
    for number in range(splits):
        rng = np.random.default_rng([seed, number])
        held_out = np.sort(rng.permutation(100)[:30])
        luck = rng.normal(0, 0.05, size=30)
        correct = 10 * (np.array(means)[:, None] + luck[None, :])
        traces.append(Trace(held_out, np.full(30, 10.0), correct, np.full((3, 30), np.nan)))
    return traces


def test_intervals_hold_the_mean_and_common_luck_falls_out_of_a_difference() -> None:
    report = make_report(
        {"random": _traces([0.6, 0.65, 0.7], 0), "better": _traces([0.65, 0.7, 0.75], 0)},
        _traces([0.55, 0.6, 0.65], 0),
        (25, 50, 100),
        prompts=100,
        seed=0,
    )

    random, better = report.curves["random"], report.curves["better"]
    assert report.informative
    for estimate, mean in zip(random.accuracy, (0.6, 0.65, 0.7), strict=True):
        assert estimate.low < mean < estimate.high
        assert estimate.high - estimate.low > 0.004
    for difference in better.difference:
        assert difference.mean == pytest.approx(0.05)
        assert difference.high - difference.low < 1e-9
    assert better.labels_saved is not None
    assert better.labels_saved.low > 0.3
    assert random.labels_saved is None
    assert random.gold is None
    for estimate, mean in zip(report.plain, (0.55, 0.6, 0.65), strict=True):
        assert estimate.mean == pytest.approx(random.accuracy[0].mean - 0.6 + mean)
    assert random.saved_in_all is not None
    assert better.saved_in_all is not None
    assert better.saved_in_all.mean > random.saved_in_all.mean > 0.3


def test_a_file_on_which_random_learns_nothing_is_uninformative() -> None:
    for means in ([0.5, 0.5, 0.5], [0.49, 0.5, 0.51]):
        report = make_report(
            {"random": _traces(means, 1), "other": _traces([0.6, 0.7, 0.8], 1)},
            _traces(means, 1),
            (25, 50, 100),
            prompts=100,
            seed=0,
        )

        assert not report.informative
        assert report.curves["other"].labels_saved is None
        assert report.curves["other"].saved_in_all is None


def test_gold_is_averaged_over_the_prompts_that_have_it() -> None:
    gold = np.array([[0.2, np.nan, 0.6], [0.4, np.nan, 1.0]])
    held_out = np.array([0, 1, 2])
    trace = Trace(held_out, np.ones(3), np.ones((2, 3)), gold)

    report = make_report({"random": [trace]}, [trace], (25, 50), prompts=3, seed=0)

    found = report.curves["random"].gold
    assert found is not None
    assert [estimate.mean for estimate in found] == pytest.approx([0.4, 0.7])
