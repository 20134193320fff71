"""`GET /stats/spend`: what the ledger says was spent, hour by hour and day by day."""

from datetime import UTC, datetime, timedelta

import httpx
import pytest
from sqlalchemy import select, text, update
from sqlalchemy.ext.asyncio import AsyncSession

from app.insights.queries.figures import SPEND
from app.storage.tables import LedgerEntry
from tests.annotation.conftest import World
from tests.insights.conftest import give_label
from tests.support.api import ClientFactory
from tests.support.indexes import indexes


async def move(world: World, number: int, ago: timedelta) -> datetime:
    """Let the entry of the label with that number have been written then."""
    moment = datetime.now(UTC) - ago
    async with world.sessions.begin() as session:
        settled = select(LedgerEntry.id).where(LedgerEntry.spent != 0).order_by(LedgerEntry.id)
        entry = (await session.scalars(settled)).all()[number]
        await session.execute(
            update(LedgerEntry).where(LedgerEntry.id == entry).values(created_at=moment)
        )
    return moment


async def test_spend_is_told_by_day_and_by_hour(
    client: httpx.AsyncClient, world: World, annotator_client: ClientFactory
) -> None:
    await world.add_pairs(4)
    ana = await annotator_client("ana")
    for _ in range(4):
        await give_label(ana, "left")
    old = await move(world, 0, timedelta(days=400))
    recent = await move(world, 1, timedelta(days=20))
    assert old < recent

    by_day = (await client.get("/stats/spend")).json()
    by_hour = (await client.get("/stats/spend", params={"by": "hour"})).json()

    assert by_day["unit"] == "labels"
    assert by_day["before"] == 1
    assert by_day["points"][0]["at"] == recent.strftime("%Y-%m-%dT00:00:00Z")
    assert sum(point["spent"] for point in by_day["points"]) == 3
    assert by_hour["before"] == 2
    assert sum(point["spent"] for point in by_hour["points"]) == 2


async def test_an_undone_label_is_refunded(
    client: httpx.AsyncClient, world: World, annotator_client: ClientFactory
) -> None:
    await world.add_pairs(1)
    label = await give_label(await annotator_client("ana"), "left")
    await client.delete(f"/labels/{label}")
    spend = (await client.get("/stats/spend")).json()
    assert sum(point["spent"] for point in spend["points"]) == spend["before"] == 0


async def test_a_forecast_comes_with_three_days_of_work(
    client: httpx.AsyncClient, world: World, annotator_client: ClientFactory
) -> None:
    await world.add_pairs(4)
    limit = {"unit": "labels", "limit": 10}
    await client.patch("/projects/default", json={"budget": limit})
    ana = await annotator_client("ana")
    for number in range(4):
        await give_label(ana, "left")
        if number < 2:
            await move(world, number, timedelta(days=number + 1))
    before = (await client.get("/stats/spend")).json()
    assert before["forecast"] is None
    assert "three days" in before["note"] or "3 days" in before["note"]

    await move(world, 2, timedelta(days=3))

    after = (await client.get("/stats/spend")).json()
    assert after["note"] == ""
    assert after["forecast"]["per_working_day"] == 1
    assert after["forecast"]["days"][0]["remaining"] <= 6


async def test_without_a_limit_there_is_no_forecast(client: httpx.AsyncClient) -> None:
    spend = (await client.get("/stats/spend")).json()
    assert (spend["limit"], spend["forecast"]) == (None, None)
    assert spend["note"] == "No forecast: the budget has no limit."


@pytest.mark.parametrize(
    ("params", "status"), [({"by": "week"}, 422), ({"project": "nothing"}, 404)]
)
async def test_what_cannot_be_told_is_refused(
    client: httpx.AsyncClient, params: dict[str, str], status: int
) -> None:
    assert (await client.get("/stats/spend", params=params)).status_code == status


async def test_it_is_for_admins(annotator_client: ClientFactory) -> None:
    assert (await (await annotator_client("ana")).get("/stats/spend")).status_code == 403


async def test_an_index_serves_it(session: AsyncSession, world: World) -> None:
    await session.execute(text("SET LOCAL enable_seqscan = off"))
    now = datetime.now(UTC)
    used = await indexes(session, SPEND, {"project_id": 1, "since": now, "step": "day"})
    assert used == {"ix_ledger_entries_spend"}
