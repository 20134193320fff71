"""A file with tools and tool calls is imported again: the same prompts, calls and labels."""

from pathlib import Path

import httpx
import pytest
from sqlalchemy import text
from sqlalchemy.ext.asyncio import AsyncSession, async_sessionmaker

from app.imports.files.sources import json_source, opened
from tests.exports.with_tools import PROMPTS, store_labelled

Sessions = async_sessionmaker[AsyncSession]


@pytest.mark.parametrize("file", ["jsonl", "parquet"])
@pytest.mark.parametrize("recipe", ["dpo", "reward"])
async def test_an_exported_file_comes_back(
    client: httpx.AsyncClient, sessions: Sessions, tmp_path: Path, recipe: str, file: str
) -> None:
    await store_labelled(client, sessions, PROMPTS)
    query = httpx.QueryParams(project="p", layout="conversational", file=file)
    exported = (await client.get(f"/exports/{recipe}", params=query)).content
    path = tmp_path / f"rows.{file}"
    path.write_bytes(exported)
    with opened(path) as (source, _):
        body = b"".join(json_source(source, path))
    assert (await client.post("/projects", json={"name": "q"})).status_code == 201

    answer = await client.post(
        "/prompts/import",
        params={"project": "q", "labels": "keep"},
        content=body,
        headers={"Content-Type": "application/x-ndjson"},
    )

    report = answer.json()
    assert report["rejected"] == []
    assert report["created"] == report["labels"] == len(PROMPTS)
    async with sessions.begin() as session:
        await session.execute(text("UPDATE prompts SET group_id = id WHERE group_id IS NULL"))
    if recipe == "dpo":  # margins would need embeddings
        again = await client.get("/exports/dpo", params=query.set("project", "q"))
        assert again.content == exported
