"""Charts as geometry: within the box, in the right order, and saying what the figures say."""

from datetime import UTC, date, datetime, timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from app.insights.forecast import forecast_spend
from app.insights.schemas import (
    CurvePoint,
    LabelEfficiency,
    SimilarityHistogram,
    Spend,
    SpendForecastView,
    SpendPoint,
)
from app.web.charts import budget_chart, curve_chart, histogram_chart

NOW = datetime(2026, 1, 15, 12, tzinfo=UTC)


def spend_of(spent: list[float], limit: float | None = 1000) -> Spend:
    points = [
        SpendPoint(at=datetime(2026, 1, 1, tzinfo=UTC) + timedelta(days=day), spent=amount)
        for day, amount in enumerate(spent)
        if amount
    ]
    forecast = None
    if limit is not None:
        found = forecast_spend(spent, date(2026, 1, 15), limit - sum(spent))
        if found:
            forecast = SpendForecastView.model_validate(found, from_attributes=True)
    return Spend(
        unit="labels", limit=limit, by="day", before=0, points=points, forecast=forecast, note=""
    )


def places(points: str) -> list[tuple[float, float]]:
    return [(float(x), float(y)) for x, y in (each.split(",") for each in points.split())]


def test_what_is_left_falls_from_the_whole_budget_to_now_and_on_to_nothing() -> None:
    chart = budget_chart(spend_of([40.0] * 14), NOW)
    assert chart is not None
    line = places(chart.line)
    assert line[0] == (0, 0)
    assert [y for _, y in line] == sorted(y for _, y in line)
    assert line[-1][1] == 560
    assert chart.now.says == "440 left"
    assert chart.end is not None
    assert chart.end.y == 100
    assert places(chart.forecast)[0] == line[-1]
    assert chart.rows[0] == ("1 Jan", 40, 960)
    assert [tick.word for tick in chart.y_ticks] == ["1,000", "750", "500", "250", "0"]


def test_without_a_limit_or_any_spend_there_is_no_chart() -> None:
    assert budget_chart(spend_of([1.0], limit=None), NOW) is None
    assert budget_chart(spend_of([]), NOW) is None


@given(st.lists(st.floats(0, 200), min_size=1, max_size=14), st.floats(1, 1e6))
def test_everything_lies_in_the_box(spent: list[float], more: float) -> None:
    chart = budget_chart(spend_of(spent, limit=sum(spent) + more), NOW)
    if chart is None:
        assert not any(spent)
        return
    for points in (chart.line, chart.forecast, chart.band, chart.area, chart.even):
        for x, y in places(points):
            assert -0.1 <= x <= 1000.1
            assert -0.1 <= y <= 1000.1
    heights = [tick.at for tick in chart.y_ticks]
    steps = {round(one - other, 3) for one, other in zip(heights[1:], heights, strict=False)}
    assert len(steps) == 1


def point(labels: int, accuracy: float) -> CurvePoint:
    return CurvePoint(labels=labels, accuracy=accuracy, low=accuracy - 0.05, high=accuracy + 0.05)


def test_the_curve_doubles_in_equal_steps() -> None:
    curve = LabelEfficiency(
        points=[point(50, 0.55), point(100, 0.6), point(200, 0.62)],
        forecast=[point(200, 0.62), point(800, 0.66)],
        advice="",
        test_labels=300,
    )
    chart = curve_chart(curve)
    assert chart is not None
    assert [x for x, _ in places(chart.line)] == [0, 250, 500]
    assert chart.x_ticks[-1].word == "800"
    assert chart.coin is not None
    assert chart.dots[1].says == "100 labels: 0.600 (0.550 to 0.650)"


def test_one_point_alone_is_a_dot() -> None:
    chart = curve_chart(LabelEfficiency(points=[point(50, 0.9)], advice="", test_labels=200))
    assert chart is not None
    assert len(chart.dots) == 1
    assert chart.band == ""
    assert chart.coin is None


@pytest.mark.parametrize("lowest", [-1.0, 0.0])
def test_pairs_stand_in_bins_of_a_tenth(lowest: float) -> None:
    edges = [round(-1 + number / 20, 4) for number in range(41)]
    labelled, opened = [0] * 40, [0] * 40
    labelled[edges.index(0.5)], labelled[edges.index(0.55)] = 3, 1
    opened[edges.index(lowest)] = 8
    histogram = SimilarityHistogram(edges=edges, open=opened, labelled=labelled)
    chart = histogram_chart(histogram)
    assert chart is not None
    assert (chart.labelled, chart.open, chart.most) == (4, 8, 8)
    assert len(chart.bars) == (20 if lowest < 0 else 10)
    bar = next(each for each in chart.bars if each.says[0] == "0.5 to 0.6")
    assert bar.says == ("0.5 to 0.6", 4, 0)
    assert bar.labelled == 250
    assert chart.bars[0].open == 500


def test_no_pairs_make_no_histogram() -> None:
    empty = SimilarityHistogram(edges=[-1, 0, 1], open=[0, 0], labelled=[0, 0])
    assert histogram_chart(empty) is None
