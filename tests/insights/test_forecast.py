"""When a budget will be spent: by weekday, with an interval, or not at all."""

from datetime import date, timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from app.insights.forecast import LONGEST_DAYS, forecast_spend

MONDAY = date(2026, 1, 5)
DAYS = st.lists(st.floats(0, 1000), min_size=14, max_size=14)


def test_the_same_every_day_ends_when_division_says() -> None:
    forecast = forecast_spend([10.0] * 14, MONDAY, 95)
    assert forecast is not None
    assert forecast.per_working_day == 10
    assert forecast.spent_on == forecast.earliest == forecast.latest == MONDAY + timedelta(days=10)
    assert [day.remaining for day in forecast.days] == [85, 75, 65, 55, 45, 35, 25, 15, 5, 0]


def test_a_weekend_without_work_stays_one() -> None:
    week = [8.0, 8.0, 8.0, 8.0, 8.0, 0.0, 0.0]
    forecast = forecast_spend(week * 2, MONDAY, 100)
    assert forecast is not None
    left = {day.day.strftime("%a %d"): day.remaining for day in forecast.days}
    assert left["Fri 09"] == left["Sat 10"] == left["Sun 11"] == 68
    assert forecast.per_working_day == 8


@pytest.mark.parametrize("spent", [[], [0.0] * 14, [5.0, 0.0, 5.0], [5.0] * 3 + [0.0] * 14])
def test_too_few_working_days_give_none(spent: list[float]) -> None:
    assert forecast_spend(spent, MONDAY, 100) is None


def test_what_lies_more_than_a_year_ahead_has_no_day() -> None:
    forecast = forecast_spend([1.0] * 14, MONDAY, 10_000)
    assert forecast is not None
    assert forecast.spent_on is forecast.earliest is forecast.latest is None
    assert len(forecast.days) == LONGEST_DAYS


@given(DAYS, st.floats(1, 100_000), st.dates(date(2000, 1, 1), date(2100, 1, 1)))
def test_the_interval_holds_the_forecast_of_some_draw_and_nothing_is_negative(
    spent: list[float], remaining: float, today: date
) -> None:
    forecast = forecast_spend(spent, today, remaining)
    if forecast is None:
        assert sum(day > 0 for day in spent) < 3
        return
    left = [day.remaining for day in forecast.days]
    assert left == sorted(left, reverse=True)
    for day in forecast.days:
        assert 0 <= day.low <= day.high <= remaining
    if forecast.earliest and forecast.latest:
        assert forecast.earliest <= forecast.latest
    assert forecast == forecast_spend(spent, today, remaining)
