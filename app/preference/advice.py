"""Advise whether more labels are worth it, in plain words, from a measured curve. Pure."""

from dataclasses import dataclass
from typing import Final

import numpy as np

from app.preference.growth import Estimate, GrowthLaws
from app.preference.learning_curve import FIRST_POINT
from app.preference.measurement import LEAST_TEST_LABELS, CurveMeasurement, Point

WORTH_GAIN: Final = 0.005
"""A tenth of the budget that brings less accuracy than this is not worth it."""
_COIN: Final = 0.5
_TENTH: Final = 10
_FORECAST_POINTS: Final = 8


@dataclass(frozen=True, slots=True)
class Budget:
    """What the advice depends on beside the curve."""

    unit: str
    """``labels``, ``minutes`` or ``money``."""
    limit: float | None
    spent: float
    exploration: float
    """The share of the labels that go to exploration, and teach the model nothing."""
    counted_labels: int


def advise(measured: CurveMeasurement, budget: Budget) -> str:
    """Whether it is worth going on, and why; or what is missing for an answer."""
    if measured.test_labels < LEAST_TEST_LABELS:
        return _too_few_test_labels(measured.test_labels, budget)
    if not measured.points:
        return (
            f"No curve yet: it begins at {FIRST_POINT} labels chosen by the strategy or made "
            f"elsewhere, on other prompts than those it is tested on, and there are "
            f"{measured.training_labels}."
        )
    last = measured.points[-1]
    if last.low <= _COIN:
        return (
            f"Nothing is learnt so far: {_standing(last)}, which a coin may do as well. "
            "Before you spend more, see in GET /stats whether annotators agree at all; where they "
            "do, these embeddings do not show what they prefer."
        )
    if measured.growth is None:
        return f"Too early to say: {_standing(last)}. A forecast takes more than 100 labels."
    return _forecast(measured, measured.growth, last, budget)


def _too_few_test_labels(test_labels: int, budget: Budget) -> str:
    missing = LEAST_TEST_LABELS - test_labels
    advice = (
        f"No curve yet: {missing} more exploration labels are needed to measure it, of "
        f"{LEAST_TEST_LABELS}. Each exploration prompt brings one pair; ties and labels made "
        "elsewhere are not counted."
    )
    if budget.exploration == 0:
        advice += " The project's `exploration` is 0: prompts to come will bring none."
    return advice


def _forecast(measured: CurveMeasurement, growth: GrowthLaws, last: Point, budget: Budget) -> str:
    labels, name = _next_tenth(budget, measured.mean_cost)
    now = budget.counted_labels if measured.is_cut_off else measured.training_labels
    more = labels * (1 - budget.exploration)
    gain, then = growth.gain(now, more), growth.accuracy(now + more)
    a, b, c = growth.best
    return (
        f"{_verdict(gain)} Now, {_standing(last)}. {name} ({_count(labels)}) is expected to bring "
        f"{gain.value:.4f} more ({_interval(gain, 4)}), to {then.value:.3f} ({_interval(then)}) by "
        f"the fitted laws, of which acc(n) = {a:.3f} - {b:.3f} / n^{c:.2f} is the likeliest."
    )


def forecast_points(measured: CurveMeasurement, budget: Budget) -> tuple[Point, ...]:
    """The accuracy expected from the last point on to the end of the budget; perhaps no points."""
    growth = measured.growth
    if growth is None or not measured.points:
        return ()
    now = measured.points[-1].labels
    cost = 1.0 if budget.unit == "labels" else measured.mean_cost
    if budget.limit is None or cost is None or budget.spent >= budget.limit:
        return ()
    end = now + (budget.limit - budget.spent) / cost * (1 - budget.exploration)
    labels = sorted({round(each) for each in np.geomspace(now, max(now, end), _FORECAST_POINTS)})
    expected = [growth.accuracy(each) for each in labels]
    return tuple(
        Point(count, each.value, each.low, each.high)
        for count, each in zip(labels, expected, strict=True)
    )


def _verdict(gain: Estimate) -> str:
    if gain.low >= WORTH_GAIN:
        return f"Go on: the gain is {WORTH_GAIN} of accuracy or more."
    if gain.high < WORTH_GAIN:
        return f"Stop, as far as accuracy goes: the gain is less than {WORTH_GAIN}."
    return f"Too uncertain to say: the gain may be more than {WORTH_GAIN} of accuracy, or less."


def _next_tenth(budget: Budget, mean_cost: float | None) -> tuple[int, str]:
    """How many labels the next tenth of the budget pays for, and what to call it."""
    cost = 1.0 if budget.unit == "labels" else mean_cost
    if budget.limit is None or cost is None:
        return max(1, round(budget.counted_labels / _TENTH)), "A tenth more labels"
    labels = max(1, round(budget.limit / cost / _TENTH))
    is_left = budget.spent < budget.limit
    return labels, "The next tenth of the budget" if is_left else "A tenth more budget"


def _count(labels: int) -> str:
    return "1 label" if labels == 1 else f"{labels} labels"


def _standing(last: Point) -> str:
    return (
        f"with {last.labels} labels the model orders {last.accuracy:.3f} of the exploration pairs "
        f"as annotators do ({last.low:.3f} to {last.high:.3f})"
    )


def _interval(estimate: Estimate, digits: int = 3) -> str:
    return f"{estimate.low:.{digits}f} to {estimate.high:.{digits}f}"
