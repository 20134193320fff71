"""`GET /curve`: what a project's labels have taught, and whether to go on."""

import httpx
import pytest
from fastapi import FastAPI
from sqlalchemy import select

from app.storage.sessions import Sessions
from app.storage.tables import Project
from tests.preference.planted import PlantedProject
from tests.support.api import ClientFactory


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
    assert curve.keys() == {"points", "fit", "forecast", "advice", "test_labels"}
    assert curve["points"] == curve["forecast"] == []
    assert curve["fit"] is None
    assert curve["test_labels"] == 0
    assert "200 more exploration labels" in curve["advice"]


async def test_it_has_points_and_advice(client: httpx.AsyncClient, planted: PlantedProject) -> None:
    await planted.label(300)
    await planted.label(220, arm="exploration")

    curve = (await client.get("/curve", params={"project": "default"})).json()

    assert [point["labels"] for point in curve["points"]] == [50, 100, 200, 300]
    for point in curve["points"]:
        assert point.keys() == {"labels", "accuracy", "low", "high", "log_loss"}
        assert 0 <= point["low"] <= point["accuracy"] <= point["high"] <= 1
    assert curve["test_labels"] == 220
    assert "with 300 labels" in curve["advice"]


async def test_the_fitted_law_and_its_forecast_are_numbers(
    client: httpx.AsyncClient, planted: PlantedProject
) -> None:
    await planted.label(300)
    await planted.label(220, arm="exploration")
    assert (await client.get("/curve")).json()["forecast"] == []  # the budget has no end

    await client.patch("/projects/default", json={"budget": {"unit": "labels", "limit": 7000}})

    curve = (await client.get("/curve")).json()
    law = curve["fit"]
    assert f"acc(n) = {law['a']:.3f} - {law['b']:.3f} / n^{law['c']:.2f}" in curve["advice"]
    labels = [point["labels"] for point in curve["forecast"]]
    assert labels[0] == 300
    assert labels == sorted(set(labels))
    for point in curve["forecast"]:
        assert point["low"] <= point["accuracy"] <= point["high"]
    accuracies = [point["accuracy"] for point in curve["forecast"]]
    assert accuracies == sorted(accuracies)  # the laws never fall


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
