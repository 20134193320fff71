"""Labels that no person gave: stored apart, and counted nowhere as people's."""

from typing import Any

import httpx
import pytest

from app.annotation.verify import verify
from tests.annotation.conftest import World
from tests.annotation.test_imported_labels_over_http import prompt
from tests.annotation.test_settle import post

__all__ = ["prompt"]  # a fixture
AUTOMATIC = {"prompt_id": "p", "annotator": "sft-v1", "automatic": True}


async def counts(client: httpx.AsyncClient) -> dict[str, Any]:
    found: dict[str, Any] = (await client.get("/projects/default")).json()["counts"]
    return found


async def sound(world: World) -> bool:
    async with world.sessions() as session:
        return (await verify(session)).differences == []


async def test_it_counts_for_nothing(
    client: httpx.AsyncClient, prompt: dict[str, Any], world: World
) -> None:
    sent = {**AUTOMATIC, "preferred": "a", "rejected": "b"}
    (label,) = (await post(client, sent))["labels"]
    assert label["status"] == "automatic"
    await post(client, sent, status=200)
    # A person may say otherwise, and nobody disagrees.
    await post(client, {"prompt_id": "p", "preferred": "b", "rejected": "a"})
    assert (await counts(client))["labels"] == 1
    found = (await client.get("/labels")).json()["labels"]
    assert [(each["annotator"], each["status"]) for each in found] == [
        ("sft-v1", "automatic"),
        ("import", "counted"),
    ]
    disputed = await client.get("/labels", params={"disagreement": True})
    assert disputed.json()["labels"] == []
    of_model = await client.get("/labels", params={"status": "automatic"})
    assert [each["id"] for each in of_model.json()["labels"]] == [label["id"]]
    assert await world.entries_sum() == (0, 0)
    assert await sound(world)


async def test_it_can_be_withdrawn(
    client: httpx.AsyncClient, prompt: dict[str, Any], world: World
) -> None:
    sent = {**AUTOMATIC, "ranking": [["a"], ["b", "c"], ["d"]]}
    labels = (await post(client, sent))["labels"]
    assert {each["status"] for each in labels} == {"automatic"}
    assert (await client.delete(f"/labels/{labels[0]['id']}")).status_code == 204
    assert (await client.get(f"/labels/{labels[0]['id']}")).json()["status"] == "withdrawn"
    assert (await counts(client))["labels"] == 0
    assert await sound(world)


async def test_a_pair_becomes_peoples_when_a_person_labels_it(
    client: httpx.AsyncClient, prompt: dict[str, Any], world: World
) -> None:
    await post(client, {**AUTOMATIC, "preferred": "a", "rejected": "b"})
    (pair,) = (await client.get("/pairs")).json()["pairs"]
    assert pair["arm"] == "automatic"
    await post(client, {"prompt_id": "p", "preferred": "a", "rejected": "b"})
    (pair,) = (await client.get("/pairs")).json()["pairs"]
    assert pair["arm"] == "imported"
    assert [each["status"] for each in pair["labels"]] == ["automatic", "counted"]
    assert await sound(world)


@pytest.mark.parametrize("automatic", ["true", 1, None])
async def test_it_must_be_said_clearly(client: httpx.AsyncClient, automatic: Any) -> None:
    sent = {**AUTOMATIC, "preferred": "a", "rejected": "b", "automatic": automatic}
    problem = await post(client, sent, status=422)
    assert problem["errors"][0]["loc"][-1] == "automatic"
