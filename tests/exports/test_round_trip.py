"""Export then import gives the same labels; and real preference data goes in and out."""

import json
from collections import Counter
from collections.abc import Iterable
from itertools import pairwise
from typing import Any

import httpx
import pytest
from sqlalchemy import text
from sqlalchemy.ext.asyncio import AsyncSession, async_sessionmaker

from tests.exports.dataset import add_label, add_pair, add_project, add_prompt, embed
from tests.support.data import is_whole, real_lines

Rows = list[dict[str, Any]]
Sessions = async_sessionmaker[AsyncSession]
CHAT = [{"role": "user", "content": "Hello"}, {"role": "assistant", "content": "Hi"},
        {"role": "user", "content": "And now?"}]  # fmt: skip


async def _import(client: httpx.AsyncClient, sessions: Sessions, project: str, body: bytes) -> Any:
    """Import with labels into a new project, whose prompts are embedded and planned at once."""
    assert (await client.post("/projects", json={"name": project})).status_code == 201
    answer = await client.post(
        "/prompts/import",
        params={"project": project, "labels": "keep"},
        content=body,
        headers={"Content-Type": "application/x-ndjson"},
    )
    assert answer.status_code == 200, answer.text
    async with sessions.begin() as session:
        await session.execute(text("UPDATE prompts SET group_id = id WHERE group_id IS NULL"))
        await embed(session, project)
    return answer.json()


async def _export(client: httpx.AsyncClient, project: str, recipe: str, **query: Any) -> bytes:
    answer = await client.get(f"/exports/{recipe}", params={"project": project, **query})
    assert answer.status_code == 200, answer.text
    return answer.content


def _rows(content: bytes) -> Rows:
    return [json.loads(line) for line in content.splitlines()]


async def _store(sessions: Sessions) -> None:
    async with sessions.begin() as session:
        project_id = await add_project(session, "p")
        for number in range(12):
            content = CHAT if number == 5 else f"Question {number}?"
            prompt, responses = await add_prompt(
                session, project_id, content, [f"a{number} ", f"b{number}", f"c\n{number}"]
            )
            for winner, loser in ((2, 0), (0, 1))[: 1 + number % 2]:
                pair = await add_pair(session, prompt, responses[winner], responses[loser])
                await add_label(session, pair, responses[winner])


HOSTILE: list[list[dict[str, str]]] = [
    [{"role": "system", "content": "  Be brief.\n"}, {"role": "user", "content": "\tx = 1\n"}],
    [{"role": "user", "content": "a\n\nuser: b\n\n\\assistant: <|assistant|>c\n\nHuman: d"}],
    [{"role": "user", "content": "\n\nAssistant: e"}, {"role": "tool", "content": " 42 "}],
    [{"role": "user", "content": "<|prompter|>f"}, {"role": "user", "content": "g"}],
]


@pytest.mark.parametrize("recipe", ["dpo", "reward", "kto", "openrlhf", "axolotl", "ranking"])
async def test_chats_come_back_with_their_roles_and_to_the_letter(
    client: httpx.AsyncClient, sessions: Sessions, recipe: str
) -> None:
    async with sessions.begin() as session:
        project_id = await add_project(session, "p")
        for chat in HOSTILE:
            prompt, (one, other) = await add_prompt(session, project_id, chat, [" a\n", "b"])
            await add_label(session, await add_pair(session, prompt, one, other), one)

    report = await _import(client, sessions, "q", await _export(client, "p", recipe))

    assert report["rejected"] == []
    stored = (await client.get("/prompts", params={"project": "q"})).json()["prompts"]
    assert [each["prompt"] for each in stored] == HOSTILE


@pytest.mark.parametrize("layout", ["standard", "conversational"])
async def test_exported_pairs_come_back_as_the_same_labels(
    client: httpx.AsyncClient, sessions: Sessions, layout: str
) -> None:
    await _store(sessions)
    exported = await _export(client, "p", "dpo", layout=layout)

    report = await _import(client, sessions, "q", exported)

    assert report["labels"] == 18
    assert report["rejected"] == []
    assert await _export(client, "q", "dpo", layout=layout) == exported


async def test_exported_rankings_come_back_with_the_same_preferences(
    client: httpx.AsyncClient, sessions: Sessions
) -> None:
    await _store(sessions)
    exported = await _export(client, "p", "ranking")

    report = await _import(client, sessions, "q", exported)

    assert report["rejected"] == []
    before, after = _rows(exported), _rows(await _export(client, "q", "ranking"))
    assert [row["suffix"] for row in before] == [row["suffix"] for row in after]
    assert [row["prefix"] for row in before] == [row["prefix"] for row in after]


Said = dict[tuple[str, frozenset[str]], Counter[str]]
"""By prompt and the two texts, the votes for each."""


def _votes(lines: Iterable[dict[str, Any]]) -> Said:
    """What people said, each annotator's answer on two texts once."""
    said: Said = {}
    seen = set()
    for number, line in enumerate(lines):
        texts = {each["id"]: each["text"].strip() for each in line["responses"]}
        for vote in line["preferences"]:
            sides = {side: texts[vote[side]] for side in ("a", "b")}
            pair = frozenset(sides.values())
            who = vote.get("annotator") or "import"
            answer = sides.get(vote["winner"], vote["winner"])
            if len(pair) < 2 or "" in pair or (number, pair, who, answer) in seen:
                continue
            seen.add((number, pair, who, answer))
            votes = said.setdefault((line["prompt"].strip(), pair), Counter())
            if vote["winner"] != "tie":
                votes[sides[vote["winner"]]] += 1
    return said


@pytest.mark.e2e
@pytest.mark.parametrize("name", ["multi-cragc25", "multi-pandalm", "multi-oasst-en100"])
async def test_real_votes_become_the_majoritys_preferences_without_a_circle(
    client: httpx.AsyncClient, sessions: Sessions, name: str
) -> None:
    lines = real_lines(name)
    said = _votes(lines)
    body = b"".join(json.dumps(line).encode() + b"\n" for line in lines)

    await _import(client, sessions, "real", body)

    rows = _rows(await _export(client, "real", "dpo", metadata=True))
    better: dict[str, set[tuple[str, str]]] = {}
    for row in rows:
        chosen, rejected = row["chosen"].strip(), row["rejected"].strip()
        votes = said[row["prompt"].strip(), frozenset((chosen, rejected))]
        assert votes[chosen] > votes[rejected]
        assert row["agreement"] == votes[chosen] / votes.total()
        better.setdefault(row["prompt_id"], set()).add((chosen, rejected))
    assert all(map(_falls_apart, better.values()))
    clear = sum(len(votes) > 0 and _is_clear(votes) for votes in said.values())
    assert 0.85 * clear < len(rows) <= clear
    if "oasst" in name:
        # They come from one consensus ranking a prompt.
        assert len(rows) == clear
    train, test = [
        _rows(await _export(client, "real", "dpo", split=split)) for split in ("train", "test")
    ]
    assert len(train) + len(test) == len(rows)
    if is_whole(name):  # all groups of a small sample may fall on one side
        assert train
        assert test


@pytest.mark.e2e
@pytest.mark.parametrize("name", ["multi-cragc25", "multi-pandalm"])
async def test_every_recipe_that_votes_can_fill_is_filled_from_real_votes(
    client: httpx.AsyncClient, sessions: Sessions, name: str
) -> None:
    lines = real_lines(name)
    body = b"".join(json.dumps(line).encode() + b"\n" for line in lines)
    await _import(client, sessions, "real", body)

    weighted = _rows(await _export(client, "real", "dpo", aggregation="dawid-skene"))
    plain = _rows(await _export(client, "real", "dpo"))
    assert len(weighted) > 0.8 * len(plain)
    ranked = _rows(await _export(client, "real", "ranking"))
    assert len(ranked) > 0.9 * len(lines)
    for row in ranked:
        falling = row["reward"]
        assert all(high > low for high, low in pairwise(falling))
    rows = _rows(await _export(client, "real", "rdo"))
    agreeing = sum(row["reward_chosen"] > row["reward_rejected"] for row in rows)
    assert agreeing > 0.8 * len(rows)
    desirable = {(row["prompt"], row["completion"]) for row in
                 _rows(await _export(client, "real", "kto")) if row["label"]}  # fmt: skip
    assert desirable


def _is_clear(votes: Counter[str]) -> bool:
    counts = [count for _, count in votes.most_common()]
    return bool(counts) and (len(counts) == 1 or counts[0] > counts[1])


def _falls_apart(pairs: set[tuple[str, str]]) -> bool:
    """Whether taking away what is nobody's loser, again and again, leaves nothing."""
    left = set(pairs)
    while left:
        losers = {worse for _, worse in left}
        rest = {pair for pair in left if pair[0] in losers}
        if rest == left:
            return False
        left = rest
    return True
