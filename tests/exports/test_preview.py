"""`GET /exports/{recipe}/preview`: what the download with the same options holds."""

import json
from typing import Any

import httpx
import pytest
from sqlalchemy.ext.asyncio import AsyncSession, async_sessionmaker

from tests.exports.dataset import add_label, add_labelled_prompt, add_pair, add_project, add_prompt


@pytest.fixture
async def filled(sessions: async_sessionmaker[AsyncSession]) -> None:
    """Forty labelled pairs, a tie, and a pair with a vote each way."""
    async with sessions.begin() as session:
        project_id = await add_project(session, "p")
        for number in range(40):
            await add_labelled_prompt(session, project_id, f"prompt {number}", "good", "bad")
        for name, winners in (("tie", [None]), ("split", ["first", "second"])):
            prompt, (first, second) = await add_prompt(session, project_id, name, ["a", "b"])
            pair = await add_pair(session, prompt, first, second)
            for number, winner in enumerate(winners):
                chosen = {"first": first, "second": second, None: None}[winner]
                await add_label(session, pair, chosen, annotator=f"ana{number}")


async def preview(client: httpx.AsyncClient, recipe: str = "dpo", **query: Any) -> Any:
    answer = await client.get(f"/exports/{recipe}/preview", params={"project": "p", **query})
    assert answer.status_code == 200, answer.text
    return answer.json()


@pytest.mark.parametrize(
    "query",
    [{}, {"split": "train"}, {"split": "test"}, {"file": "parquet"}, {"metadata": True},
     {"layout": "conversational"}, {"compression": "gzip"}],
)  # fmt: skip
async def test_it_holds_what_the_download_holds(
    client: httpx.AsyncClient, filled: None, query: dict[str, Any]
) -> None:
    found = await preview(client, **query)
    as_lines = {**query, "file": "jsonl", "compression": "none"}
    answer = await client.get("/exports/dpo", params={"project": "p", **as_lines})
    rows = [json.loads(line) for line in answer.content.splitlines()]
    plain = {**query, "compression": "none"}
    file = await client.get("/exports/dpo", params={"project": "p", **plain})
    assert found["rows"] == len(rows)
    assert found["first"] == rows[:3]
    assert found["bytes"] == len(file.content)
    assert found["labelled_pairs"] == 42
    assert found["rows"] + sum(found["left_out"].values()) == 42


async def test_it_says_why_pairs_give_no_row(client: httpx.AsyncClient, filled: None) -> None:
    left_out = (await preview(client))["left_out"]
    assert (left_out["tie"], left_out["both_bad"], left_out["no_majority"]) == (1, 0, 1)
    assert sum(left_out.values()) == 2


async def test_pairs_of_which_both_are_bad_are_told_apart_from_ties(
    client: httpx.AsyncClient, sessions: async_sessionmaker[AsyncSession]
) -> None:
    async with sessions.begin() as session:
        project_id = await add_project(session, "p")
        for name, choices in (("tie", ["tie"]), ("bad", ["both_bad", "both_bad", "tie"])):
            prompt, (first, second) = await add_prompt(session, project_id, name, ["a", "b"])
            pair = await add_pair(session, prompt, first, second)
            for number, choice in enumerate(choices):
                await add_label(session, pair, None, annotator=f"ana{number}", choice=choice)
    left_out = (await preview(client))["left_out"]
    assert (left_out["tie"], left_out["both_bad"]) == (1, 1)


async def test_both_parts_together_are_all(client: httpx.AsyncClient, filled: None) -> None:
    train, test = [await preview(client, split=split) for split in ("train", "test")]
    assert train["rows"] + test["rows"] == 40
    assert train["left_out"]["other_split"] >= test["rows"]


async def test_without_labels_there_are_no_rows(
    client: httpx.AsyncClient, sessions: async_sessionmaker[AsyncSession]
) -> None:
    async with sessions.begin() as session:
        await add_project(session, "p")
    found = await preview(client)
    assert (found["rows"], found["first"], found["labelled_pairs"]) == (0, [], 0)


@pytest.mark.parametrize(
    ("recipe", "query", "status"),
    [("nothing", {}, 404), ("dpo", {"split": "x"}, 422), ("bridged", {}, 409)],
)
async def test_what_cannot_be_exported_is_refused_alike(
    client: httpx.AsyncClient, filled: None, recipe: str, query: dict[str, str], status: int
) -> None:
    for path in (f"/exports/{recipe}", f"/exports/{recipe}/preview"):
        answer = await client.get(path, params={"project": "p", **query})
        assert answer.status_code == status, answer.text
