"""`GET /curve`: what a project's labels have taught, and whether to go on."""

import asyncio

import httpx
import pytest
from fastapi import FastAPI
from sqlalchemy import select

from app.insights.kept_curves import KeptCurves
from app.preference.measured import Measured
from app.storage.sessions import Sessions
from app.storage.tables import Project
from tests.conftest import ClientFactory
from tests.preference.planted import PlantedProject


@pytest.fixture
async def planted(app: FastAPI, sessions: Sessions) -> PlantedProject:
    async with sessions() as session:
        project_id = (await session.scalars(select(Project.id))).one()
    return PlantedProject(sessions, project_id, worth=20)


async def test_without_exploration_labels_it_says_how_many_are_missing(
    client: httpx.AsyncClient,
) -> None:
    answer = await client.get("/curve")

    assert answer.status_code == 200
    curve = answer.json()
    assert curve.keys() == {"points", "advice", "test_labels"}
    assert curve["points"] == []
    assert curve["test_labels"] == 0
    assert "200 more exploration labels" in curve["advice"]


async def test_it_has_points_and_advice(client: httpx.AsyncClient, planted: PlantedProject) -> None:
    await planted.label(300)
    await planted.label(220, arm="exploration")

    curve = (await client.get("/curve", params={"project": "default"})).json()

    assert [point["labels"] for point in curve["points"]] == [50, 100, 200, 300]
    for point in curve["points"]:
        assert point.keys() == {"labels", "accuracy", "low", "high"}
        assert 0 <= point["low"] <= point["accuracy"] <= point["high"] <= 1
    assert curve["test_labels"] == 220
    assert "with 300 labels" in curve["advice"]


async def test_the_advice_is_for_the_budget_as_it_is_now(
    client: httpx.AsyncClient, planted: PlantedProject
) -> None:
    await planted.label(300)
    await planted.label(220, arm="exploration")
    before = (await client.get("/curve")).json()

    await client.patch("/projects/default", json={"budget": {"unit": "labels", "limit": 7000}})

    after = (await client.get("/curve")).json()
    assert "(700 labels)" not in before["advice"]
    assert "(700 labels)" in after["advice"]
    assert after["points"] == before["points"]


async def test_it_grows_with_the_labels(client: httpx.AsyncClient, planted: PlantedProject) -> None:
    await planted.label(300)
    await planted.label(220, arm="exploration")
    first = (await client.get("/curve")).json()
    await planted.label(2)
    assert (await client.get("/curve")).json() == first

    await planted.label(100)

    assert (await client.get("/curve")).json()["points"][-1]["labels"] == 402


async def test_it_is_an_admins(
    client: httpx.AsyncClient, anonymous: httpx.AsyncClient, annotator_client: ClientFactory
) -> None:
    assert (await anonymous.get("/curve")).status_code == 401
    assert (await (await annotator_client("ana")).get("/curve")).status_code == 403
    assert (await client.get("/curve", params={"project": "nowhere"})).status_code == 404


class Clock:
    """A clock that a test turns."""

    now = 0.0

    def __call__(self) -> float:
        return self.now


class Measurements:
    """Measures when it is told, and counts."""

    def __init__(self) -> None:
        self.made = 0
        self.begun = asyncio.Event()
        self.may_end = asyncio.Event()
        self.may_end.set()

    async def __call__(self) -> Measured:
        self.made += 1
        self.begun.set()
        await self.may_end.wait()
        return Measured((), None, self.made, 0, is_cut_off=False, mean_cost=None)


async def test_a_curve_is_kept_until_labels_are_a_percent_more_or_fewer() -> None:
    kept, measure = KeptCurves(Clock()), Measurements()
    for labels, made in ((1000, 1), (1010, 1), (1011, 2), (1001, 2), (1000, 3)):
        await kept.get(1, labels, measure)
        assert measure.made == made


async def test_a_curve_is_kept_for_ten_minutes_at_most() -> None:
    clock = Clock()
    kept, measure = KeptCurves(clock), Measurements()
    for now, made in ((0, 1), (599, 1), (600, 2)):
        clock.now = now
        assert (await kept.get(1, 1000, measure)).test_labels == made


async def test_whoever_asks_meanwhile_shares_the_measurement() -> None:
    kept, measure = KeptCurves(Clock()), Measurements()
    measure.may_end.clear()
    asking = [asyncio.create_task(kept.get(1, 1000, measure)) for _ in range(5)]
    await measure.begun.wait()
    measure.may_end.set()

    assert {found.test_labels for found in await asyncio.gather(*asking)} == {1}
    assert measure.made == 1


async def test_a_measurement_that_failed_is_made_again() -> None:
    async def fail() -> Measured:
        raise RuntimeError

    kept, measure = KeptCurves(Clock()), Measurements()
    with pytest.raises(RuntimeError):
        await kept.get(1, 1000, fail)

    assert (await kept.get(1, 1000, measure)).test_labels == 1


async def test_a_kept_curve_waits_for_no_other_project() -> None:
    kept, measure, slow = KeptCurves(Clock()), Measurements(), Measurements()
    await kept.get(1, 1000, measure)
    slow.may_end.clear()
    other = asyncio.create_task(kept.get(2, 1000, slow))
    await slow.begun.wait()

    assert (await kept.get(1, 1000, measure)).test_labels == 1
    slow.may_end.set()
    await other


async def test_only_so_many_curves_are_kept() -> None:
    kept, measure = KeptCurves(Clock()), Measurements()
    for project_id in range(300):
        await kept.get(project_id, 1000, measure)
    await kept.get(299, 1000, measure)
    assert measure.made == 300

    await kept.get(0, 1000, measure)

    assert measure.made == 301
