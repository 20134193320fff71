"""Exports of some rounds of responses."""

import io
import json
import zipfile
from typing import Any

import httpx
import pytest
from sqlalchemy.ext.asyncio import AsyncSession, async_sessionmaker

from tests.exports.dataset import add_label, add_pair, add_project, add_prompt

Sessions = async_sessionmaker[AsyncSession]
TEXTS = ["a", "b", "ref 1", "c", "d", "ref 2", "e", "f"]
ROUNDS = [1, 1, 1, 2, 2, 2, 3, 3]
REFERENCES = {2, 5}


async def store(sessions: Sessions) -> None:
    """One prompt with three rounds, of which the third has no reference.

    Labelled is a pair in each round, and one of a response of round 1 and one of round 2.
    """
    async with sessions.begin() as session:
        project_id = await add_project(session, "p")
        prompt, responses = await add_prompt(session, project_id, "prompt", TEXTS)
        prompt.latest_round = 3
        for place, response in enumerate(responses):
            response.round = ROUNDS[place]
            response.reference = place in REFERENCES
        for better, worse in ((0, 1), (3, 4), (6, 7), (3, 1)):
            pair = await add_pair(session, prompt, responses[better], responses[worse])
            await add_label(session, pair, responses[better])


async def rows(client: httpx.AsyncClient, recipe: str = "dpo", **query: Any) -> list[Any]:
    answer = await client.get(f"/exports/{recipe}", params={"project": "p", **query})
    assert answer.status_code == 200, answer.text
    return [json.loads(line) for line in answer.content.splitlines()]


@pytest.mark.parametrize(
    ("rounds", "expected"),
    [
        ("all", {("a", "b"), ("c", "d"), ("e", "f"), ("c", "b")}),
        ("1", {("a", "b"), ("c", "b")}),
        ("2", {("c", "d")}),
        ("3,1", {("a", "b"), ("c", "b"), ("e", "f")}),
        ("latest", {("e", "f")}),
        ("4", set()),
    ],
)
async def test_a_pair_belongs_to_the_older_round(
    client: httpx.AsyncClient, sessions: Sessions, rounds: str, expected: set[Any]
) -> None:
    await store(sessions)
    found = await rows(client, rounds=rounds)
    assert {(row["chosen"], row["rejected"]) for row in found} == expected
    preview = await client.get("/exports/dpo/preview", params={"project": "p", "rounds": rounds})
    assert preview.json()["rows"] == len(expected)


async def test_each_pair_has_the_reference_of_its_newer_round(
    client: httpx.AsyncClient, sessions: Sessions
) -> None:
    await store(sessions)
    found = await rows(client, "self-exploring")
    assert {(row["chosen"], row["rejected"]): row["reference_response"] for row in found} == {
        ("a", "b"): "ref 1",
        ("c", "d"): "ref 2",
        ("c", "b"): "ref 2",
        ("e", "f"): "ref 2",
    }


async def test_without_rounds_the_first_is_the_latest(
    client: httpx.AsyncClient, sessions: Sessions
) -> None:
    async with sessions.begin() as session:
        project_id = await add_project(session, "p")
        prompt, (one, other) = await add_prompt(session, project_id, "prompt", ["a", "b"])
        await add_label(session, await add_pair(session, prompt, one, other), one)
    assert len(await rows(client, rounds="latest")) == len(await rows(client)) == 1


async def test_the_manifest_says_which(client: httpx.AsyncClient, sessions: Sessions) -> None:
    await store(sessions)
    query = {"project": "p", "rounds": "2,3", "test_fraction": "0"}
    bundle = await client.get("/exports/dpo/bundle", params=query)
    with zipfile.ZipFile(io.BytesIO(bundle.content)) as archive:
        manifest = json.loads(archive.read("manifest.json"))
    assert manifest["options"]["rounds"] == "2,3"
    assert next(file["counts"]["rows"] for file in manifest["files"] if "counts" in file) == 2


@pytest.mark.parametrize("rounds", ["", "0", "newest", "1,", "1-3", "-1", "1e3", "12345", "²"])
async def test_other_rounds_are_refused(client: httpx.AsyncClient, rounds: str) -> None:
    answer = await client.get("/exports/dpo", params={"rounds": rounds})
    assert answer.status_code == 422
    assert answer.json()["errors"][0]["loc"] == ["query", "rounds"]
