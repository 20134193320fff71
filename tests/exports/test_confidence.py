"""How sure a preference is, in rows and manifest; and which pairs are ties."""

import io
import json
import math
import zipfile
from typing import Any

import httpx
import pytest
from sqlalchemy.ext.asyncio import AsyncSession, async_sessionmaker

from tests.exports.dataset import add_label, add_pair, add_project, add_prompt

Rows = list[dict[str, Any]]


async def _rows(client: httpx.AsyncClient, recipe: str, **query: Any) -> Rows:
    answer = await client.get(f"/exports/{recipe}", params={"project": "p", **query})
    assert answer.status_code == 200, answer.text
    return [json.loads(line) for line in answer.content.splitlines()]


async def _store(sessions: async_sessionmaker[AsyncSession]) -> None:
    """Ann and Bo agree, Carl contradicts them; the last pairs have one label each."""
    async with sessions.begin() as session:
        project_id = await add_project(session, "p")
        for number in range(12):
            prompt, (one, other) = await add_prompt(session, project_id, f"q{number}", ["a", "b"])
            pair = await add_pair(session, prompt, one, other)
            if number < 10:
                for annotator, chosen in (("ann", one), ("bo", one), ("carl", other)):
                    await add_label(session, pair, chosen, annotator=annotator)
            else:
                await add_label(session, pair, one, annotator="ann" if number == 10 else "carl")


async def test_a_single_label_is_as_sure_as_its_annotator(
    sessions: async_sessionmaker[AsyncSession], client: httpx.AsyncClient
) -> None:
    await _store(sessions)

    confidence = {row["prompt"]: row["confidence"] for row in await _rows(client, "confidence")}

    assert confidence["q0"] > 0.95  # two who are often right, and one who is often wrong
    assert 0.8 < confidence["q10"] < confidence["q0"]  # one who is often right
    assert confidence["q11"] < 0.5  # one who is often wrong, alone
    weighted = await _rows(client, "confidence", aggregation="dawid-skene")
    by_prompt = {row["prompt"]: row for row in weighted}
    assert "q11" not in by_prompt  # no label of the pair shares the likelier preference
    for prompt, row in by_prompt.items():
        assert row["confidence"] == confidence[prompt]


async def test_the_manifest_has_the_noise_of_each_file(
    sessions: async_sessionmaker[AsyncSession], client: httpx.AsyncClient
) -> None:
    await _store(sessions)

    answer = await client.get("/exports/confidence/bundle?project=p&test_fraction=0.3")

    with zipfile.ZipFile(io.BytesIO(answer.content)) as bundle:
        files = json.loads(bundle.read("manifest.json"))["files"]
        with_rows = [file for file in files if file.get("split")]
        assert len(with_rows) == 2
        for file in with_rows:
            rows = [json.loads(line) for line in bundle.read(file["name"]).splitlines()]
            noise = sum(1 - row["confidence"] for row in rows) / len(rows)
            assert file["label_noise"] == pytest.approx(noise, abs=1e-5)
        assert json.loads(bundle.read("manifest.json"))["annotators"]["count"] == 3
    plain = await client.get("/exports/dpo/bundle?project=p")
    with zipfile.ZipFile(io.BytesIO(plain.content)) as bundle:
        assert b"label_noise" not in bundle.read("manifest.json")


async def test_confidences_of_copies_are_put_together(
    sessions: async_sessionmaker[AsyncSession], client: httpx.AsyncClient
) -> None:
    async with sessions.begin() as session:
        project_id = await add_project(session, "p")
        for content, texts in (("q", ["a", "b"]), ([{"role": "user", "content": "q"}], ["b", "a"])):
            prompt, responses = await add_prompt(session, project_id, content, texts)
            pair = await add_pair(session, prompt, *responses)
            better = responses[texts.index("a")]
            await add_label(session, pair, better, annotator=f"of {texts[0]}")

    (row,) = await _rows(client, "confidence")

    odds = row["confidence"] / (1 - row["confidence"])
    assert row["chosen"] == "a"
    # Both annotators have the same reliability, and the odds of the two labels multiply.
    assert math.sqrt(odds) == pytest.approx(odds / math.sqrt(odds))
    assert row["confidence"] > 0.75


async def test_ties_are_rows_and_are_counted(
    sessions: async_sessionmaker[AsyncSession], client: httpx.AsyncClient
) -> None:
    async with sessions.begin() as session:
        project_id = await add_project(session, "p")
        answers = {
            "won": ["left"],
            "tie": ["tie"],
            "bad": ["both_bad"],
            "mostly tie": ["tie", "tie", "left"],
            "divided": ["left", "right"],
            "half tie": ["tie", "both_bad"],
        }
        for content, choices in answers.items():
            prompt, responses = await add_prompt(session, project_id, content, ["a", "b"])
            pair = await add_pair(session, prompt, *responses)
            for number, choice in enumerate(choices):
                preferred = {"left": responses[0], "right": responses[1]}.get(choice)
                await add_label(
                    session, pair, preferred, choice=choice, annotator=f"annotator {number}"
                )

    rows = {row["prompt"]: row["tie"] for row in await _rows(client, "ties")}
    assert rows == {"won": False, "tie": True, "mostly tie": True}
    assert "tie" not in {row["prompt"] for row in await _rows(client, "dpo")}

    preview = (await client.get("/exports/ties/preview?project=p")).json()
    assert preview["rows"] == len(rows)
    assert preview["labelled_pairs"] == len(answers)
    assert preview["rows"] + sum(preview["left_out"].values()) == len(answers)
