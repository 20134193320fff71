"""Exports of people's labels, of automatic ones, or of all."""

import json
from typing import Any

import httpx
import pytest
from sqlalchemy.ext.asyncio import AsyncSession, async_sessionmaker

from tests.exports.dataset import add_label, add_pair, add_project, add_prompt

Sessions = async_sessionmaker[AsyncSession]


@pytest.fixture
async def stored(sessions: Sessions) -> None:
    """A pair that a person judged, one that a model did, and one on which they disagree."""
    async with sessions.begin() as session:
        project_id = await add_project(session, "p")
        for name, person, model in (("person", 0, None), ("model", None, 0), ("both", 0, 1)):
            prompt, responses = await add_prompt(session, project_id, name, ["a", "b"])
            pair = await add_pair(session, prompt, *responses)
            if person is not None:
                await add_label(session, pair, responses[person])
            if model is not None:
                automatic = {"annotator": "sft", "status": "automatic"}
                await add_label(session, pair, responses[model], **automatic)


@pytest.mark.parametrize(
    ("query", "expected"),
    [
        ({}, {"person": "a", "both": "a"}),
        ({"labels": "people", "surplus": True}, {"person": "a", "both": "a"}),
        ({"labels": "automatic"}, {"model": "a", "both": "b"}),
        ({"labels": "all"}, {"person": "a", "model": "a"}),
    ],
)
async def test_whose_labels_are_taken(
    client: httpx.AsyncClient, stored: None, query: dict[str, Any], expected: dict[str, str]
) -> None:
    answer = await client.get("/exports/dpo", params={"project": "p", **query})
    assert answer.status_code == 200, answer.text
    rows = [json.loads(line) for line in answer.content.splitlines()]
    assert {row["prompt"]: row["chosen"] for row in rows} == expected


async def test_nobody_else_is_asked(client: httpx.AsyncClient) -> None:
    answer = await client.get("/exports/dpo", params={"labels": "models"})
    assert answer.status_code == 422
    assert answer.json()["errors"][0]["loc"] == ["query", "labels"]
