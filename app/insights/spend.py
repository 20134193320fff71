"""Spend over time, and when the budget will be spent."""

from collections.abc import Sequence
from dataclasses import asdict
from datetime import UTC, datetime, time, timedelta
from typing import Final, Literal

from sqlalchemy.ext.asyncio import AsyncSession

from app.insights.forecast import (
    DAYS_LOOKED_AT,
    LEAST_WORKING_DAYS,
    SpendForecast,
    forecast_spend,
)
from app.insights.queries import figures as queries
from app.insights.schemas import Spend, SpendForecastView, SpendPoint
from app.projects import service as projects
from app.projects.schemas import LedgerView
from app.projects.views import ledger_view

Step = Literal["hour", "day"]
_REACH: Final[dict[Step, timedelta]] = {"hour": timedelta(days=14), "day": timedelta(days=366)}


async def spend_over_time(
    session: AsyncSession, project_name: str, by: Step, now: datetime
) -> Spend:
    """What was spent in each hour or day until ``now``, and a forecast.

    Raises:
        UnknownProject: no project has that name.
    """
    row = await projects.get_project(session, project_name)
    ledger = ledger_view(row.project, row.lapsed_reserved)
    midnight = datetime.combine(now.astimezone(UTC).date(), time(), UTC)
    rows = await queries.spend_since(session, row.project.id, midnight - _REACH[by], by)
    points = [SpendPoint(at=at, spent=float(spent)) for at, spent in rows]
    forecast, note = _forecast(ledger, points, midnight)
    return Spend(
        unit=ledger.unit,
        limit=ledger.limit,
        by=by,
        before=float(ledger.spent) - sum(point.spent for point in points),
        points=points,
        forecast=None if forecast is None else SpendForecastView(**asdict(forecast)),
        note=note,
    )


async def pace(
    session: AsyncSession, project_ids: Sequence[int], now: datetime
) -> dict[int, float]:
    """What projects spend on a working day, by number, over two weeks; none for those at rest."""
    since = now - timedelta(days=DAYS_LOOKED_AT)
    found = await queries.spend_a_day(session, project_ids, since)
    return {project_id: float(a_day) for project_id, a_day in found.items()}


def _forecast(
    ledger: LedgerView, points: list[SpendPoint], midnight: datetime
) -> tuple[SpendForecast | None, str]:
    if ledger.limit is None:
        return None, "No forecast: the budget has no limit."
    remaining = float(ledger.limit - ledger.spent)
    if remaining <= 0:
        return None, "The budget is spent."
    spent = [0.0] * DAYS_LOOKED_AT
    for point in points:
        days_ago = (midnight.date() - point.at.astimezone(UTC).date()).days
        if 1 <= days_ago <= DAYS_LOOKED_AT:
            spent[-days_ago] += point.spent
    forecast = forecast_spend(spent, midnight.date(), remaining)
    if forecast is None:
        return None, (
            f"No forecast yet: it takes {LEAST_WORKING_DAYS} days with labels among the last"
            f" {DAYS_LOOKED_AT}, and today does not count."
        )
    return forecast, ""
