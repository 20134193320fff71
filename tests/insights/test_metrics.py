"""What Prometheus scrapes, and that each of it is documented."""

import re
from pathlib import Path
from typing import Final

import httpx
import pytest
from prometheus_client.parser import text_string_to_metric_families
from sqlalchemy import select, text

from app.http.middleware import CountRequests
from app.http.request_metrics import CLAIM_STATUS, RequestMetrics
from app.insights.metrics import Figures
from app.storage.tables import Response, ResponseEmbedding
from tests.annotation.conftest import World
from tests.insights.conftest import give_label
from tests.support.api import ClientFactory

PAGE: Final = Path(__file__).parents[2] / "docs" / "metrics.md"
Samples = dict[str, list[tuple[dict[str, str], float]]]


async def scrape(client: httpx.AsyncClient) -> Samples:
    """Every sample by its name, with its labels."""
    answer = await client.get("/metrics")
    assert answer.status_code == 200, answer.text
    assert answer.headers["content-type"] == "text/plain; version=0.0.4; charset=utf-8"
    samples: Samples = {}
    for family in text_string_to_metric_families(answer.text):
        for sample in family.samples:
            samples.setdefault(sample.name, []).append((sample.labels, sample.value))
    return samples


def of_default(samples: Samples, name: str) -> float:
    """A figure of the project ``default``."""
    (value,) = [
        value
        for labels, value in samples[f"annotation_budget_{name}"]
        if labels["project"] == "default"
    ]
    return value


async def test_requests_are_counted_by_route_and_never_by_path(client: httpx.AsyncClient) -> None:
    for name in ("one", "two"):
        await client.get(f"/projects/{name}")
    await client.get("/no/such/path")
    await client.request("BREW", "/projects")

    samples = await scrape(client)

    counted = {
        (labels["route"], labels["method"], labels["status_class"]): value
        for labels, value in samples["annotation_budget_requests_total"]
    }
    assert counted == {
        ("/projects/{name}", "GET", "4xx"): 2,
        ("other", "GET", "4xx"): 1,
        ("/projects", "other", "4xx"): 1,
    }
    timed = {
        labels["route"]: value
        for labels, value in samples["annotation_budget_request_seconds_count"]
    }
    assert timed["/projects/{name}"] == 2
    processes = {labels["process"] for labels, _ in samples["annotation_budget_requests_total"]}
    assert len(processes) == 1


async def test_a_projects_figures_are_those_of_the_database(
    client: httpx.AsyncClient, world: World, annotator_client: ClientFactory
) -> None:
    await world.set_project(budget_limit=10)
    await world.add_pairs(4)
    ana, ben = await annotator_client("ana"), await annotator_client("ben")
    await give_label(ana, "left")
    await ana.get("/next-pairs")
    await world.lapse_all()
    await ben.get("/next-pairs?budget=2")  # frees ana's; holds two

    samples = await scrape(client)

    assert of_default(samples, "limit") == 10
    assert of_default(samples, "spent") == 1
    assert of_default(samples, "reserved") == 2
    assert of_default(samples, "labels") == 1
    assert of_default(samples, "surplus_labels") == 0
    assert of_default(samples, "held_assignments") == 2
    assert of_default(samples, "lapsed_assignments") == 0
    assert of_default(samples, "open_pairs") == 1
    assert of_default(samples, "prompts") == 4
    assert of_default(samples, "pending_prompts") == 0
    assert of_default(samples, "index_lag_prompts") == 0
    assert samples["annotation_budget_spent"][0][0]["unit"] == "labels"

    await world.lapse_all()
    samples = await scrape(client)
    assert of_default(samples, "held_assignments") == 0
    assert of_default(samples, "lapsed_assignments") == 2


async def test_prompts_wait_first_for_the_embedder_and_then_for_the_plan(
    client: httpx.AsyncClient,
) -> None:
    responses = [{"text": "a"}, {"text": "b"}]
    await client.post("/prompts", json={"prompt": "Q", "responses": responses})
    samples = await scrape(client)
    assert of_default(samples, "pending_prompts") == 1
    assert of_default(samples, "failed_prompts") == 0
    assert of_default(samples, "index_lag_prompts") == 0

    await client.post("/projects", json={"name": "own"})
    vectors = [{"text": "a", "embedding": [1, 0]}, {"text": "b", "embedding": [0, 1]}]
    await client.post("/prompts?project=own", json={"prompt": "Q", "responses": vectors})
    lag = (await scrape(client))["annotation_budget_index_lag_prompts"]
    assert {labels["project"]: value for labels, value in lag} == {"default": 0, "own": 1}


async def test_stored_vectors_are_counted_by_the_database(
    client: httpx.AsyncClient, world: World
) -> None:
    name = "annotation_budget_response_embeddings_total"
    ((_, before),) = (await scrape(client))[name]
    await world.add_pairs(3)
    async with world.sessions.begin() as session:
        responses = await session.scalars(select(Response.id))
        session.add_all(
            ResponseEmbedding(response_id=number, vector=b"\0\0") for number in responses
        )
        await session.flush()
        await session.execute(text("SELECT pg_stat_force_next_flush()"))

    ((_, after),) = (await scrape(client))[name]

    assert after == before + 6


async def test_a_project_without_a_limit_has_none(client: httpx.AsyncClient) -> None:
    assert "annotation_budget_limit" not in await scrape(client)


async def test_the_figures_are_the_admins(
    anonymous: httpx.AsyncClient, annotator_client: ClientFactory
) -> None:
    ana = await annotator_client("ana")
    assert (await anonymous.get("/metrics")).status_code == 401
    assert (await ana.get("/metrics")).status_code == 403


async def test_a_claim_is_counted_by_the_status_that_its_route_tells() -> None:
    metrics = RequestMetrics()

    async def tells_its_status(scope, receive, send) -> None:  # type: ignore[no-untyped-def]
        scope.setdefault("state", {})[CLAIM_STATUS] = "waiting"
        await send({"type": "http.response.start", "status": 200, "headers": []})
        await send({"type": "http.response.body", "body": b""})

    transport = httpx.ASGITransport(CountRequests(tells_its_status, metrics))
    async with httpx.AsyncClient(transport=transport, base_url="http://service") as client:
        await client.get("/")

    labels = {"process": metrics.process, "status": "waiting"}
    assert metrics.registry.get_sample_value("annotation_budget_claims_total", labels) == 1


async def test_a_request_that_fails_unforeseen_is_counted_as_a_500() -> None:
    metrics = RequestMetrics()

    async def fails(scope, receive, send) -> None:  # type: ignore[no-untyped-def]
        raise RuntimeError("unforeseen")

    transport = httpx.ASGITransport(CountRequests(fails, metrics))
    async with httpx.AsyncClient(transport=transport, base_url="http://service") as client:
        with pytest.raises(RuntimeError, match="unforeseen"):
            await client.get("/")

    labels = {
        "process": metrics.process,
        "route": "other",
        "method": "GET",
        "status_class": "5xx",
    }
    assert metrics.registry.get_sample_value("annotation_budget_requests_total", labels) == 1


def documented() -> dict[str, tuple[str, str]]:
    """The type and the meaning of each metric on the page, by its name."""
    rows = re.findall(
        r"^\| `([a-z_]+)` \| ([a-z]+) \| [^|]* \| ([^|]*) \|$",
        PAGE.read_text(encoding="utf-8"),
        flags=re.MULTILINE,
    )
    return {name: (kind, meaning) for name, kind, meaning in rows}


def test_every_metric_is_documented_with_its_type_and_meaning_and_no_other() -> None:
    metrics = RequestMetrics()
    families = [
        *metrics.registry.collect(),
        *Figures([], 0, metrics.process, 0).collect(),
    ]
    assert documented() == {
        f"{family.name}_total" if family.type == "counter" else family.name: (
            family.type,
            family.documentation,
        )
        for family in families
    }
