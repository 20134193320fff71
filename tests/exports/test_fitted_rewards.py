"""Rewards as exports give them: fitted to what is stored, embeddings and labels together."""

import json
from typing import Any

import httpx
import numpy as np
import pytest
from numpy.typing import NDArray
from scipy.stats import spearmanr  # type: ignore[import-untyped]  # ships no types
from sqlalchemy import delete, select, update
from sqlalchemy.ext.asyncio import AsyncSession, async_sessionmaker

from app.embedding.unit import normalise, to_bytes
from app.storage.tables import Project, PromptEmbedding, ResponseEmbedding
from tests.exports.dataset import DIMENSIONS, add_label, add_pair, add_project, add_prompt

Rows = list[dict[str, Any]]
Sessions = async_sessionmaker[AsyncSession]
FITTED = ["reward", "openrlhf", "rdo", "reward-augmented", "ranking", "regenerate", "optune"]


async def _get(client: httpx.AsyncClient, recipe: str, **query: Any) -> httpx.Response:
    return await client.get(f"/exports/{recipe}", params={"project": "p", **query})


async def _rows(client: httpx.AsyncClient, recipe: str, **query: Any) -> Rows:
    answer = await _get(client, recipe, **query)
    assert answer.status_code == 200, answer.text
    return [json.loads(line) for line in answer.content.splitlines()]


async def _store_planted(session: AsyncSession, prompts: int) -> NDArray[np.float64]:
    """Pairs with one label each, for the response further along one axis: how far it is ahead."""
    generator = np.random.default_rng(0)
    project_id = await add_project(session, "p")
    ahead = []
    for number in range(prompts):
        prompt, responses = await add_prompt(session, project_id, f"q{number}", ["a", "b"])
        vectors = normalise(generator.standard_normal((2, DIMENSIONS)))
        for response, vector in zip(responses, vectors, strict=True):
            stored = await session.get_one(ResponseEmbedding, response.id)
            stored.vector = to_bytes(vector)
        better = int(vectors[1, 0] > vectors[0, 0])
        await add_label(session, await add_pair(session, prompt, *responses), responses[better])
        ahead.append(abs(float(vectors[0, 0] - vectors[1, 0])))
    return np.array(ahead)


async def test_one_label_a_pair_is_enough_for_margins_that_say_how_far_apart_two_responses_are(
    client: httpx.AsyncClient, sessions: Sessions
) -> None:
    async with sessions.begin() as session:
        ahead = await _store_planted(session, 300)

    rows = await _rows(client, "reward")

    margins = {row["prompt"]: row["margin"] for row in rows}
    assert len(set(margins.values())) > 250
    ordered = [margins[f"q{number}"] for number in range(300)]
    assert spearmanr(ordered, ahead)[0] > 0.5


async def test_rewards_do_not_depend_on_the_split_or_the_format(
    client: httpx.AsyncClient, sessions: Sessions
) -> None:
    async with sessions.begin() as session:
        await _store_planted(session, 40)

    whole = {row["prompt"]: row["reward_gap"] for row in await _rows(client, "optune")}
    for split in ("train", "test"):
        part = await _rows(client, "optune", split=split, test_fraction=0.5)
        assert part
        assert {row["prompt"]: row["reward_gap"] for row in part}.items() <= whole.items()


@pytest.mark.parametrize("recipe", FITTED)
async def test_a_project_without_embeddings_is_told_that_they_are_missing(
    client: httpx.AsyncClient, sessions: Sessions, recipe: str
) -> None:
    async with sessions.begin() as session:
        await _store_planted(session, 3)
        await session.execute(delete(ResponseEmbedding))
        await session.execute(delete(PromptEmbedding))

    answer = await _get(client, recipe)

    assert answer.status_code == 409
    assert answer.json()["type"].endswith("/recipe-unfilled")
    assert "embeddings" in answer.json()["detail"]
    async with sessions.begin() as session:
        await session.execute(update(Project).values(embedding_dimensions=None))
    assert (await _get(client, recipe)).json() == answer.json()


async def test_provenance_has_no_margin_where_there_are_no_embeddings(
    client: httpx.AsyncClient, sessions: Sessions
) -> None:
    async with sessions.begin() as session:
        await _store_planted(session, 3)
        await session.execute(delete(ResponseEmbedding))

    assert [row["margin"] for row in await _rows(client, "dpo", metadata=True)] == [None] * 3


async def test_a_label_on_a_response_without_a_vector_is_left_out_of_the_fit_alone(
    client: httpx.AsyncClient, sessions: Sessions
) -> None:
    async with sessions.begin() as session:
        await _store_planted(session, 20)
    before = {row["prompt"]: row for row in await _rows(client, "rdo")}
    async with sessions.begin() as session:
        project_id = (
            await session.execute(select(Project.id).where(Project.name == "p"))
        ).scalar_one()
        prompt, (late, other) = await add_prompt(session, project_id, "late", ["a", "b"])
        await session.execute(
            delete(ResponseEmbedding).where(ResponseEmbedding.response_id == late.id)
        )
        await add_label(session, await add_pair(session, prompt, late, other), late)

    after = {row["prompt"]: row for row in await _rows(client, "rdo")}

    assert (after["late"]["reward_chosen"], after["late"]["reward_rejected"]) == (0.0, 0.0)
    for prompt_text, row in before.items():
        assert after[prompt_text]["reward_chosen"] == pytest.approx(row["reward_chosen"], abs=0.3)
    assert "late" not in {row["prompt"] for row in await _rows(client, "regenerate")}
