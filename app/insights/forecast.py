"""When a budget will be spent, from how much was spent on the last days. Pure.

A day costs what days of its weekday cost on average. The interval is that of a bootstrap: the days
are drawn again with replacement, and each draw has a forecast of its own.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import date, timedelta
from typing import Final

import numpy as np

from app.selection.arrays import Float64Array, IntArray

DAYS_LOOKED_AT: Final = 14
LEAST_WORKING_DAYS: Final = 3
LONGEST_DAYS: Final = 366
_DRAWS: Final = 1000
_LEVELS: Final = (2.5, 97.5)
_SEED: Final = 20_240_917
_WEEK: Final = 7


@dataclass(frozen=True, slots=True)
class DayForecast:
    """What will be left at the end of a day, and its 95% interval."""

    day: date
    remaining: float
    low: float
    high: float


@dataclass(frozen=True, slots=True)
class SpendForecast:
    """How the budget is expected to run out. A day is None where it lies more than a year ahead."""

    per_working_day: float
    days: tuple[DayForecast, ...]
    """From tomorrow to the day on which it is spent, or for a year."""
    spent_on: date | None
    earliest: date | None
    latest: date | None


def forecast_spend(spent: Sequence[float], today: date, remaining: float) -> SpendForecast | None:
    """Forecast from what was spent on each of the days before ``today``, the latest last.

    None with fewer than three days on which something was spent.
    """
    last = np.array(spent[-DAYS_LOOKED_AT:], dtype=np.float64)
    if (last > 0).sum() < LEAST_WORKING_DAYS:
        return None
    weekdays: IntArray = (today.weekday() - np.arange(len(last), 0, -1)) % _WEEK
    coming = (today.weekday() + np.arange(1, LONGEST_DAYS + 1)) % _WEEK
    expected = remaining - np.cumsum(_means(last, weekdays, np.ones((1, len(last))))[:, coming])
    rng = np.random.default_rng(_SEED)
    fair = np.full(len(last), 1 / len(last))
    drawn = rng.multinomial(len(last), fair, size=_DRAWS).astype(np.float64)
    paths = remaining - np.cumsum(_means(last, weekdays, drawn)[:, coming], axis=1)
    low, high = np.percentile(np.maximum(paths, 0), _LEVELS, axis=0)
    days_to_end = _first_spent(paths)
    earliest, latest = np.percentile(days_to_end, _LEVELS, method="nearest")
    end = int(_first_spent(expected[None])[0])
    shown = min(LONGEST_DAYS, max(end, 1))
    return SpendForecast(
        per_working_day=float(last[last > 0].mean()),
        days=tuple(
            DayForecast(
                today + timedelta(days=number + 1),
                float(max(expected[number], 0)),
                float(low[number]),
                float(high[number]),
            )
            for number in range(shown)
        ),
        spent_on=_day(today, end),
        earliest=_day(today, int(earliest)),
        latest=_day(today, int(latest)),
    )


def _means(spent: Float64Array, weekdays: IntArray, counts: Float64Array) -> Float64Array:
    """The mean of each weekday for each draw: ``(draws, 7)``. One that was not drawn has the mean
    of all days drawn.
    """
    is_weekday = (weekdays[:, None] == np.arange(_WEEK)).astype(np.float64)
    days = counts @ is_weekday
    sums = (counts * spent) @ is_weekday
    overall = (counts @ spent / counts.sum(axis=1))[:, None]
    return np.asarray(np.where(days > 0, sums / np.maximum(days, 1), overall))


def _first_spent(paths: Float64Array) -> Float64Array:
    """In how many days each path reaches nothing; a day more than the longest if none does."""
    is_spent = paths <= 0
    return np.asarray(np.where(is_spent.any(axis=1), is_spent.argmax(axis=1), LONGEST_DAYS) + 1)


def _day(today: date, days: int) -> date | None:
    return today + timedelta(days=days) if days <= LONGEST_DAYS else None
