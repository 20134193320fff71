"""Charts as geometry: what the SVG macros draw, in a box of 1000 by 1000. Pure.

The box is stretched to the page; strokes keep their width. Words and dots stand outside of it, in
percent, so that they are never stretched.
"""

import math
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, time, timedelta
from itertools import pairwise
from typing import Final

from app.insights.schemas import LabelEfficiency, SimilarityHistogram, Spend

BOX: Final = 1000
_STEPS: Final = (1, 2, 2.5, 5, 10)
_COIN: Final = 0.5
_SECONDS_TO_NAME_DAYS: Final = 4 * 86_400.0


@dataclass(frozen=True, slots=True)
class Tick:
    """A word at an axis, at a place in the box."""

    at: float
    word: str


@dataclass(frozen=True, slots=True)
class Dot:
    """A point of a line, in percent of the plot, and what it says."""

    x: float
    y: float
    says: str


@dataclass(frozen=True, slots=True)
class BudgetChart:
    """What is left of the budget over time; lines and areas are lists of ``x,y``."""

    y_ticks: list[Tick]
    x_ticks: list[Tick]
    line: str
    area: str
    forecast: str
    band: str
    even: str
    now: Dot
    end: Dot | None
    rows: list[tuple[str, float, float]]
    """A day or hour, what was spent in it, and what was left after it."""


@dataclass(frozen=True, slots=True)
class CurveChart:
    """Accuracy by labels on a logarithmic axis."""

    y_ticks: list[Tick]
    x_ticks: list[Tick]
    line: str
    band: str
    forecast: str
    forecast_band: str
    coin: float | None
    dots: list[Dot]


@dataclass(frozen=True, slots=True)
class Bar:
    """A bin: its place, and how tall it stands above and below the line."""

    x: float
    width: float
    labelled: float
    open: float
    says: tuple[str, int, int]


@dataclass(frozen=True, slots=True)
class HistogramChart:
    """Labelled pairs above the line, open ones below, by similarity."""

    bars: list[Bar]
    x_ticks: list[Tick]
    most: int
    labelled: int
    open: int


def budget_chart(spend: Spend, now: datetime) -> BudgetChart | None:
    """What is left of the budget; None without a limit, or before anything was spent."""
    if spend.limit is None or not spend.points:
        return None
    limit = float(spend.limit)
    values = _ticks(limit)
    step = timedelta(days=1) if spend.by == "day" else timedelta(hours=1)
    start = spend.points[0].at
    left = limit - spend.before
    course, rows = [(start, left)], []
    for point in spend.points:
        if point.at > course[-1][0]:
            course.append((point.at, left))
        left -= point.spent
        course.append((min(point.at + step, now), left))
        word = point.at.strftime("%-d %b" if spend.by == "day" else "%-d %b %H:00")
        rows.append((word, point.spent, left))
    course.append((now, left))
    days = spend.forecast.days if spend.forecast else []
    ahead = [(datetime.combine(day.day + timedelta(days=1), time(), UTC), day) for day in days]
    ahead = [each for each in ahead if each[0] - now <= max(now - start, timedelta(days=14)) * 2]
    stop = max([now, *(moment for moment, _ in ahead)])
    span = (stop - start).total_seconds() or 1.0

    def x(moment: datetime) -> float:
        return BOX * (moment - start).total_seconds() / span

    def y(amount: float) -> float:
        return BOX * (1 - amount / values[0])

    line = [(x(moment), y(amount)) for moment, amount in course]
    expected = [(x(now), y(left)), *((x(moment), y(day.remaining)) for moment, day in ahead)]
    low = [(x(now), y(left)), *((x(moment), y(day.low)) for moment, day in ahead)]
    high = [(x(moment), y(day.high)) for moment, day in ahead]
    end = expected[-1] if ahead and ahead[-1][1].remaining == 0 else None
    return BudgetChart(
        y_ticks=[Tick(y(value), f"{value:,.10g}") for value in values],
        x_ticks=[
            Tick(x(moment), moment.strftime("%-d %b" if span > _SECONDS_TO_NAME_DAYS else "%H:%M"))
            for moment in (start + (stop - start) * part / 4 for part in range(5))
        ],
        line=_points(line),
        area=_points([(0.0, float(BOX)), *line, (line[-1][0], float(BOX))]),
        forecast=_points(expected) if ahead else "",
        band=_points([*low, *reversed(high)]) if ahead else "",
        even=_points([line[0], end]) if end else "",
        now=_dot(line[-1], f"{left:,.10g} left"),
        end=_dot(end, ahead[-1][1].day.strftime("%-d %b")) if end else None,
        rows=rows,
    )


def curve_chart(curve: LabelEfficiency) -> CurveChart | None:
    """Accuracy by labels; None before there are any points."""
    if not curve.points:
        return None
    everything = [*curve.points, *curve.forecast]
    first, last = everything[0].labels, max(everything[-1].labels, everything[0].labels + 1)
    bottom = max(0.0, math.floor(20 * min(point.low for point in everything)) / 20)
    top = min(1.0, math.ceil(20 * max(point.high for point in everything)) / 20)

    def x(labels: float) -> float:
        return BOX * math.log(labels / first) / math.log(last / first)

    def y(accuracy: float) -> float:
        return BOX * (top - accuracy) / (top - bottom)

    def band(points: Sequence[object]) -> str:
        lows = [(x(p.labels), y(p.low)) for p in points]  # type: ignore[attr-defined]
        highs = [(x(p.labels), y(p.high)) for p in points]  # type: ignore[attr-defined]
        return _points([*lows, *reversed(highs)])

    return CurveChart(
        y_ticks=[
            Tick(y(value), f"{value:.2f}")
            for value in (top - (top - bottom) * part / 4 for part in range(5))
        ],
        x_ticks=[
            Tick(BOX * part / 4, f"{first * (last / first) ** (part / 4):,.0f}")
            for part in range(5)
        ],
        line=_points([(x(point.labels), y(point.accuracy)) for point in curve.points]),
        band=band(curve.points) if len(curve.points) > 1 else "",
        forecast=_points([(x(point.labels), y(point.accuracy)) for point in curve.forecast]),
        forecast_band=band(curve.forecast) if len(curve.forecast) > 1 else "",
        coin=y(_COIN) if bottom <= _COIN <= top else None,
        dots=[
            _dot(
                (x(point.labels), y(point.accuracy)),
                f"{point.labels:,} labels: {point.accuracy:.3f}"
                f" ({point.low:.3f} to {point.high:.3f})",
            )
            for point in curve.points
        ],
    )


def histogram_chart(histogram: SimilarityHistogram) -> HistogramChart | None:
    """Pairs by similarity, in bins of a tenth; None while there are none."""
    bins: dict[int, tuple[int, int]] = {}
    middles = [(low + high) / 2 for low, high in pairwise(histogram.edges)]
    for middle, labelled, opened in zip(middles, histogram.labelled, histogram.open, strict=True):
        number = math.floor(10 * middle)
        before = bins.get(number, (0, 0))
        bins[number] = (before[0] + labelled, before[1] + opened)
    filled = [number for number, counts in bins.items() if any(counts)]
    if not filled:
        return None
    first = min(0, 2 * math.floor(min(filled) / 2))
    numbers = range(first, 10)
    most = max(max(bins.get(number, (0, 0))) for number in numbers)
    width = BOX / len(numbers)
    bars = []
    for place, number in enumerate(numbers):
        labelled, opened = bins.get(number, (0, 0))
        half = BOX / 2 / most
        says = (f"{number / 10:.1f} to {(number + 1) / 10:.1f}", labelled, opened)
        bars.append(Bar(place * width, width, labelled * half, opened * half, says))
    return HistogramChart(
        bars=bars,
        x_ticks=[
            Tick(BOX * (number - first) / len(numbers), f"{number / 10:.1f}")
            for number in range(first, 11, 2)
        ],
        most=most,
        labelled=sum(histogram.labelled),
        open=sum(histogram.open),
    )


def _ticks(most: float) -> list[float]:
    """Round numbers in equal steps, from ``most`` or just above it down to 0."""
    raw = most / 4 or 1.0
    size = 10.0 ** math.floor(math.log10(raw))
    step = next(size * factor for factor in _STEPS if size * factor >= raw * 0.999)
    count = math.ceil(most / step - 1e-9) or 1
    return [step * number for number in range(count, -1, -1)]


def _points(places: Sequence[tuple[float, float]]) -> str:
    return " ".join(f"{x:.1f},{y:.1f}" for x, y in places)


def _dot(place: tuple[float, float], says: str) -> Dot:
    return Dot(place[0] / 10, place[1] / 10, says)
