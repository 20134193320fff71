"""Recipes on what is stored: what a project cannot fill, rewards, weights, and erasure."""

import io
import json
from typing import Any

import httpx
import pyarrow.parquet as pq
import pytest
from sqlalchemy.ext.asyncio import AsyncSession, async_sessionmaker

from app.exports.recipes import RECIPES
from app.storage.ids import IdKind, encode
from tests.exports.dataset import (
    add_label,
    add_labelled_prompt,
    add_pair,
    add_project,
    add_prompt,
)

Rows = list[dict[str, Any]]
Sessions = async_sessionmaker[AsyncSession]


async def _rows(client: httpx.AsyncClient, recipe: str, **query: Any) -> Rows:
    answer = await client.get(f"/exports/{recipe}", params={"project": "p", **query})
    assert answer.status_code == 200, answer.text
    return [json.loads(line) for line in answer.content.splitlines()]


async def _fill(session: AsyncSession) -> int:
    """A project from which every recipe gives rows; its number."""
    project_id = await add_project(session, "p")
    for number in range(6):
        prompt, responses = await add_prompt(
            session, project_id, f"q{number}", ["best", "middle", "worst", "ours"], group=number + 1
        )
        responses[3].reference = True
        for response, good, bad in zip(responses, (-1, -2, -3, -4), (-5, -4, -3, -2), strict=True):
            response.response_metadata = {"logprob_safe": good, "logprob_unsafe": bad}
        for winner, loser in ((0, 1), (1, 2), (0, 2)):
            pair = await add_pair(session, prompt, responses[winner], responses[loser])
            await add_label(session, pair, responses[winner], edited="better still", strength=1)
            if number:
                await add_label(session, pair, responses[winner], annotator="bo")
    return project_id


@pytest.mark.parametrize(
    ("recipe", "missing"),
    [
        ("self-exploring", "reference responses"),
        ("contrastive", "log-probabilities"),
        ("bridged", "edits"),
        ("rdo", "rewards"),
        ("reward-augmented", "rewards"),
        ("ranking", "rewards"),
        ("regenerate", "rewards"),
        ("optune", "rewards"),
    ],
)
async def test_a_recipe_that_a_project_cannot_fill_says_what_is_missing(
    client: httpx.AsyncClient, sessions: Sessions, recipe: str, missing: str
) -> None:
    async with sessions.begin() as session:
        project_id = await add_project(session, "p")
        prompt, (one, other) = await add_prompt(session, project_id, "x", ["a", "b"])
        await add_label(session, await add_pair(session, prompt, one, other), None)

    answer = await client.get(f"/exports/{recipe}", params={"project": "p"})

    assert answer.status_code == 409
    assert answer.headers["content-type"] == "application/problem+json"
    assert answer.json()["type"].endswith("/recipe-unfilled")
    assert missing in answer.json()["detail"]


async def test_every_recipe_fills_and_gives_the_same_bytes_again(
    client: httpx.AsyncClient, sessions: Sessions
) -> None:
    async with sessions.begin() as session:
        await _fill(session)
    query: dict[str, Any] = {"project": "p", "metadata": True, "layout": "conversational"}

    for recipe in RECIPES:
        parquet = [
            await client.get(f"/exports/{recipe}", params={**query, "file": "parquet"})
            for _ in range(2)
        ]
        rows = await _rows(client, recipe, **query)

        assert [answer.status_code for answer in parquet] == [200, 200]
        assert parquet[0].content == parquet[1].content
        assert len(rows) == pq.read_metadata(io.BytesIO(parquet[0].content)).num_rows >= 6
        assert rows == await _rows(client, recipe, **query)
        assert all(row.get("chosen", 0) != row.get("rejected", 1) for row in rows)


async def test_the_weights_of_a_file_have_the_mean_1_and_are_positive(
    client: httpx.AsyncClient, sessions: Sessions
) -> None:
    async with sessions.begin() as session:
        await _fill(session)

    for split in ("all", "train", "test"):
        rows = await _rows(client, "rdo", split=split, test_fraction=0.5)
        weights = [row["weight"] for row in rows]
        assert sum(weights) / len(weights) == pytest.approx(1)
        assert min(weights) > 0
        assert all(row["reward_chosen"] > row["reward_rejected"] for row in rows)


async def test_prompts_to_sample_again_come_by_their_best_reward(
    client: httpx.AsyncClient, sessions: Sessions
) -> None:
    async with sessions.begin() as session:
        await _fill(session)

    rows = await _rows(client, "regenerate")

    assert [row["rank"] for row in rows] == [1, 2, 3, 4, 5, 6]
    best = [row["best_reward"] for row in rows]
    assert best == sorted(best)
    # Fewer labels say less for a best response.
    assert rows[0]["prompt"] == "q0"
    train = await _rows(client, "regenerate", split="train", test_fraction=0.5)
    assert [row["rank"] for row in train] == list(range(1, len(train) + 1))


async def test_reliable_annotators_outweigh_a_majority_that_guesses(
    client: httpx.AsyncClient, sessions: Sessions
) -> None:
    async with sessions.begin() as session:
        project_id = await add_project(session, "p")
        for number in range(40):
            prompt, (a, b) = await add_prompt(session, project_id, f"q{number}", ["a", "b"])
            pair = await add_pair(session, prompt, a, b)
            for annotator in ("ana", "bea", "cy"):
                await add_label(session, pair, a, annotator=annotator)
            for annotator, guess in (("guess", number % 2), ("guess too", number // 2 % 2)):
                await add_label(session, pair, (a, b)[guess], annotator=annotator)
        prompt, (a, b) = await add_prompt(session, project_id, "contested", ["a", "b"])
        pair = await add_pair(session, prompt, a, b)
        for annotator, winner in (("ana", a), ("guess", b), ("guess too", b)):
            await add_label(session, pair, winner, annotator=annotator)

    async def contested(**query: Any) -> Rows:
        rows = await _rows(client, "dpo", metadata=True, **query)
        return [row for row in rows if row["prompt"] == "contested"]

    (by_majority,) = await contested()
    (weighted,) = await contested(aggregation="dawid-skene")
    assert (by_majority["chosen"], weighted["chosen"]) == ("b", "a")
    assert weighted["agreement"] == 1 / 3
    assert await contested(aggregation="dawid-skene", min_agreement=0.999) == []


async def test_kto_counts_both_bad_against_both(
    client: httpx.AsyncClient, sessions: Sessions
) -> None:
    async with sessions.begin() as session:
        project_id = await add_project(session, "p")
        prompt, (a, b) = await add_prompt(session, project_id, "x", ["a", "b"])
        await add_label(session, await add_pair(session, prompt, a, b), None, choice="both_bad")

    rows = await _rows(client, "kto")

    assert [(row["completion"], row["label"]) for row in rows] == [("a", False), ("b", False)]
    assert await _rows(client, "dpo") == []


async def test_a_deleted_prompt_is_in_no_later_export(
    client: httpx.AsyncClient, sessions: Sessions
) -> None:
    async with sessions.begin() as session:
        project_id = await _fill(session)
        doomed = await add_labelled_prompt(session, project_id, "a secret", "good", "bad")
        doomed_id = doomed.id
    before = {recipe: await client.get(f"/exports/{recipe}?project=p") for recipe in RECIPES}
    assert b"a secret" in before["dpo"].content

    deleted = await client.delete(f"/prompts/{encode(IdKind.PROMPT, doomed_id)}")

    assert deleted.status_code == 204
    for recipe in RECIPES:
        for path in (f"/exports/{recipe}", f"/exports/{recipe}/bundle"):
            answer = await client.get(path, params={"project": "p"})
            assert answer.status_code == 200
            assert b"a secret" not in answer.content
            assert encode(IdKind.PROMPT, doomed_id).encode() not in answer.content
