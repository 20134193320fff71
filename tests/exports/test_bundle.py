"""The whole folder in one download: it opens, it counts, and it can be checked."""

import hashlib
import io
import json
import re
import zipfile
import zlib
from pathlib import Path
from typing import Any

import httpx
import numpy as np
import pytest
from datasets import load_dataset
from sqlalchemy.ext.asyncio import AsyncSession, async_sessionmaker

from app.embedding.unit import normalise, to_bytes
from app.storage.tables import ResponseEmbedding
from tests.exports.dataset import (
    DIMENSIONS,
    add_label,
    add_labelled_prompt,
    add_pair,
    add_project,
    add_prompt,
)

Sessions = async_sessionmaker[AsyncSession]


async def _store(sessions: Sessions) -> None:
    """Project ``p``: 40 plain pairs; a circle of three, a tie, a pair below 0.7, one text twice."""
    async with sessions.begin() as session:
        project_id = await add_project(session, "p")
        for number in range(40):
            await add_labelled_prompt(session, project_id, f"q{number}", "good", "bad")
        prompt, (a, b, c) = await add_prompt(session, project_id, "circle", ["a", "b", "c"])
        for winner, loser in ((a, b), (b, c), (c, a)):
            await add_label(session, await add_pair(session, prompt, winner, loser), winner)
        prompt, (a, b) = await add_prompt(session, project_id, "tie", ["a", "b"])
        await add_label(session, await add_pair(session, prompt, a, b), None)
        prompt, (a, b) = await add_prompt(session, project_id, "split", ["a", "b"])
        pair = await add_pair(session, prompt, a, b)
        for annotator, winner in (("ana", a), ("bo", b), ("cy", a)):
            await add_label(session, pair, winner, annotator=annotator)
        await add_labelled_prompt(session, project_id, "same", "a", "a ")
        await add_labelled_prompt(session, project_id, "late", "a", "b", group=None)


async def _bundle(client: httpx.AsyncClient, recipe: str = "dpo", **query: Any) -> bytes:
    params = {"project": "p", **query}
    answer = await client.get(f"/exports/{recipe}/bundle", params=params)
    assert answer.status_code == 200, answer.text
    assert answer.headers["content-type"] == "application/zip"
    return answer.content


def _unpacked(content: bytes) -> dict[str, bytes]:
    with zipfile.ZipFile(io.BytesIO(content)) as archive:
        assert archive.testzip() is None
        return {name: archive.read(name) for name in archive.namelist()}


async def test_the_manifest_comes_last_and_counts_what_is_there(
    client: httpx.AsyncClient, sessions: Sessions
) -> None:
    await _store(sessions)

    files = _unpacked(await _bundle(client, min_agreement=0.7, test_fraction=0.3))

    assert list(files) == ["train.jsonl", "test.jsonl", "README.md", "manifest.json"]
    manifest = json.loads(files["manifest.json"])
    assert [each["name"] for each in manifest["files"]] == list(files)[:-1]
    for told in manifest["files"]:
        assert told["sha256"] == hashlib.sha256(files[told["name"]]).hexdigest()
        assert told["bytes"] == len(files[told["name"]])
    totals: dict[str, int] = {}
    for told in manifest["files"][:2]:
        assert told["counts"]["rows"] == files[told["name"]].count(b"\n")
        for name, count in told["counts"].items():
            totals[name] = totals.get(name, 0) + count
    assert totals == {
        "prompts": 44,
        "labelled_pairs": 46,
        "labels": 48,
        "votes": 42,
        "agreeing_votes": 42,
        "pairs_with_several_labels": 0,
        "preferred_pairs": 42,
        "exploration_pairs": 0,
        "undecided_pairs": 1,
        "pairs_without_majority": 0,
        "pairs_both_bad": 0,
        "tied_pairs": 0,
        "pairs_joined": 0,
        "pairs_below_agreement": 1,
        "pairs_of_one_text": 1,
        "pairs_with_tools": 0,
        "prompts_with_tools": 0,
        "cycles": 1,
        "pairs_dropped_for_cycles": 1,
        "rows": 42,
    }
    assert manifest["pending_prompts"] == 1
    assert manifest["project"]["name"] == "p"
    assert manifest["project"]["strategy"] == "dissimilar"
    assert manifest["options"]["min_agreement"] == 0.7
    assert "annotation-budget" in manifest["generator"]


@pytest.mark.parametrize("file", ["jsonl", "parquet"])
async def test_datasets_opens_the_folder(
    client: httpx.AsyncClient, sessions: Sessions, tmp_path: Path, file: str
) -> None:
    await _store(sessions)
    folder = tmp_path / "folder"
    with zipfile.ZipFile(io.BytesIO(await _bundle(client, file=file))) as archive:
        archive.extractall(folder)
    plain = [
        json.loads(line)
        for line in (await client.get("/exports/dpo?project=p")).content.splitlines()
    ]

    loaded = load_dataset(str(folder), cache_dir=str(tmp_path / "cache"))

    assert set(loaded) == {"train", "test"}
    rows = [row for split in ("train", "test") for row in loaded[split]]
    assert sorted(map(str, rows)) == sorted(map(str, plain))


async def test_the_same_data_give_the_same_bytes(
    client: httpx.AsyncClient, sessions: Sessions
) -> None:
    await _store(sessions)

    for query in ({}, {"file": "parquet", "metadata": True}, {"aggregation": "dawid-skene"}):
        assert await _bundle(client, **query) == await _bundle(client, **query)


async def test_a_split_without_rows_has_no_file_and_none_is_named(
    client: httpx.AsyncClient, sessions: Sessions
) -> None:
    await _store(sessions)

    files = _unpacked(await _bundle(client, test_fraction=0))
    assert "test.jsonl" not in files
    assert b"split: test" not in files["README.md"]
    only_test = _unpacked(await _bundle(client, split="test", test_fraction=0.5))
    assert list(only_test) == ["test.jsonl", "README.md", "manifest.json"]


@pytest.mark.parametrize(
    ("query", "pairs"),
    [
        ({"project": "default"}, 0),
        ({"project": "default", "file": "parquet"}, 0),
        ({"split": "test", "test_fraction": 0}, 0),
        ({"min_agreement": 1, "split": "test", "test_fraction": 0, "file": "parquet"}, 0),
    ],
)
async def test_a_bundle_without_rows_is_refused_and_says_why(
    client: httpx.AsyncClient, sessions: Sessions, query: dict[str, Any], pairs: int
) -> None:
    """Without data files, `load_dataset` would take the manifest for one row of data."""
    await _store(sessions)

    answer = await client.get("/exports/dpo/bundle", params={"project": "p", **query})

    assert answer.status_code == 409
    assert answer.headers["content-type"] == "application/problem+json"
    assert answer.json()["type"].endswith("/recipe-unfilled")
    pending = 0 if "project" in query else 1
    assert f"of {pairs} labelled pairs" in answer.json()["detail"]
    assert f"; {pending} prompts are still" in answer.json()["detail"]


async def test_labels_without_a_preference_are_named_where_a_bundle_has_no_rows(
    client: httpx.AsyncClient, sessions: Sessions
) -> None:
    async with sessions.begin() as session:
        project_id = await add_project(session, "p")
        prompt, (a, b) = await add_prompt(session, project_id, "tie", ["a", "b"])
        await add_label(session, await add_pair(session, prompt, a, b), None)

    answer = await client.get("/exports/dpo/bundle", params={"project": "p"})

    assert answer.status_code == 409
    assert "of 1 labelled pairs" in answer.json()["detail"]


@pytest.mark.parametrize("split", ["train", "test"])
async def test_a_folder_of_one_split_opens_as_that_split_alone(
    client: httpx.AsyncClient, sessions: Sessions, tmp_path: Path, split: str
) -> None:
    await _store(sessions)
    folder = tmp_path / "folder"
    content = await _bundle(client, split=split, test_fraction=0.5)
    with zipfile.ZipFile(io.BytesIO(content)) as archive:
        archive.extractall(folder)

    loaded = load_dataset(str(folder), cache_dir=str(tmp_path / "cache"))

    assert list(loaded) == [split]
    assert set(loaded[split].column_names) == {"prompt", "chosen", "rejected"}


async def test_a_bundle_that_broke_off_does_not_open(
    client: httpx.AsyncClient, sessions: Sessions
) -> None:
    await _store(sessions)
    whole = await _bundle(client)

    for length in (len(whole) // 2, len(whole) - 30):
        with pytest.raises(zipfile.BadZipFile):
            zipfile.ZipFile(io.BytesIO(whole[:length]))


@pytest.mark.parametrize("file", ["jsonl", "parquet"])
async def test_a_packed_file_is_the_plain_one_and_does_not_unpack_if_it_broke_off(
    client: httpx.AsyncClient, sessions: Sessions, file: str
) -> None:
    await _store(sessions)
    query = {"project": "p", "file": file}

    plain = await client.get("/exports/dpo", params=query)
    packed = await client.get("/exports/dpo", params={**query, "compression": "gzip"})

    assert packed.headers["content-type"] == "application/gzip"
    name = f'attachment; filename="p-dpo-all.{file}.gz"'
    assert packed.headers["content-disposition"] == name
    assert "content-encoding" not in packed.headers
    assert zlib.decompress(packed.content, 31) == plain.content
    for length in range(0, len(packed.content), 97):
        with pytest.raises(zlib.error):
            zlib.decompress(packed.content[:length], 31)


async def test_the_margin_of_a_file_is_of_one_kind_and_the_manifest_says_which(
    client: httpx.AsyncClient, sessions: Sessions
) -> None:
    async with sessions.begin() as session:
        project_id = await add_project(session, "p")
        for number in range(8):
            prompt, (a, b) = await add_prompt(session, project_id, f"q{number}", ["a", "b"])
            strength = None if number == 3 else 2
            await add_label(session, await add_pair(session, prompt, a, b), a, strength=strength)

    files = _unpacked(await _bundle(client, "reward", test_fraction=0.5, seed=1))

    kinds = {}
    for told in json.loads(files["manifest.json"])["files"][:2]:
        rows = [json.loads(line) for line in files[told["name"]].splitlines()]
        has_all = "q3" not in {row["prompt"] for row in rows}
        kinds[told["margin"]] = has_all
        assert all((row["margin"] == 2.0) is has_all for row in rows)
        assert all(row["margin"] >= 0 for row in rows)
    assert kinds == {"mean strength of the labels": True, "gap of the rewards": False}


async def _store_exploration(sessions: Sessions, labels: int) -> None:
    """Exploration labels, and 60 of the strategy's; the better response lies along one axis."""
    generator = np.random.default_rng(0)
    async with sessions.begin() as session:
        project_id = await add_project(session, "p")
        for number in range(labels + 60):
            prompt, (a, b) = await add_prompt(session, project_id, f"q{number}", ["a", "b"])
            for response, sign in ((a, 1), (b, -1)):
                vector = generator.standard_normal(DIMENSIONS)
                vector[0] = sign * abs(vector[0])
                stored = await session.get_one(ResponseEmbedding, response.id)
                stored.vector = to_bytes(normalise(vector))
            arm = "exploration" if number < labels else "strategy"
            pair = await add_pair(session, prompt, a, b, arm=arm)
            await add_label(session, pair, a, assignment_id=number)


@pytest.mark.parametrize(("labels", "is_measured"), [(199, False), (200, True)])
async def test_the_card_tells_the_label_efficiency_or_what_it_takes_to_know_it(
    client: httpx.AsyncClient, sessions: Sessions, labels: int, is_measured: bool
) -> None:
    await _store_exploration(sessions, labels)

    content = await _bundle(client)

    card = _unpacked(content)["README.md"].decode()
    section = card.partition("## Label efficiency\n")[2].partition("\n## ")[0]
    assert (f"the project has {labels} of the 200" in section) is not is_measured
    figures = re.findall(r"^\| (\d+) \| (\S+) \((\S+) to (\S+)\) \|$", section, re.MULTILINE)
    assert [int(each[0]) for each in figures] == ([50, 60] if is_measured else [])
    for _, accuracy, low, high in figures:
        assert 0.5 < float(low) <= float(accuracy) <= float(high) <= 1
    assert content == await _bundle(client)


async def test_an_admin_alone_gets_a_bundle(
    anonymous: httpx.AsyncClient, client: httpx.AsyncClient
) -> None:
    assert (await anonymous.get("/exports/dpo/bundle")).status_code == 401
    assert (await client.get("/exports/nothing/bundle")).status_code == 404
    assert (await client.get("/exports/self-exploring/bundle")).status_code == 409
