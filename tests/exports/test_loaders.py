"""What the files are for: they load."""

import io
from pathlib import Path
from typing import Any

import httpx
import pyarrow.json as pj
import pyarrow.parquet as pq
import pytest
from datasets import Dataset, load_dataset
from sqlalchemy.ext.asyncio import AsyncSession, async_sessionmaker

from tests.exports.dataset import add_labelled_prompt, add_project

TEXTS = [
    "two\nlines\r\nand a tab\t",
    "a line separator \u2028 and a paragraph's \u2029 and the next line \x85 and \x0b\x0c\x1c",
    "family 👩‍👩‍👧‍👦, flag 🏴󠁧󠁢󠁥󠁮󠁧󠁿, plane 𝕏",
    "שלום \u202eright to left\u202c مرحبا",
    "combining e\u0301, zero\u200bwidth, a mark \ufeff, last \uffff\U0010ffff",
    '"quotes", \\ and \\u2028 as letters',
    " spaces around \n",
]


def _load(content: bytes, file: str, folder: Path) -> Dataset:
    path = folder / f"data.{file}"
    path.write_bytes(content)
    builder = {"jsonl": "json", "parquet": "parquet"}[file]
    return load_dataset(
        builder, data_files=str(path), split="train", cache_dir=str(folder / "cache")
    )


def _turns(role: str, text: str, layout: str) -> Any:
    return text if layout == "standard" else [{"role": role, "content": text}]


@pytest.mark.parametrize("layout", ["standard", "conversational"])
@pytest.mark.parametrize("file", ["jsonl", "parquet"])
async def test_any_text_comes_back_through_datasets(
    client: httpx.AsyncClient,
    sessions: async_sessionmaker[AsyncSession],
    tmp_path: Path,
    file: str,
    layout: str,
) -> None:
    async with sessions.begin() as session:
        project_id = await add_project(session, "p")
        for text in TEXTS:
            await add_labelled_prompt(session, project_id, text, f"good {text}", f"bad {text}")
    query = {"project": "p", "file": file, "layout": layout}

    answer = await client.get("/exports/dpo", params=query)

    rows = list(_load(answer.content, file, tmp_path))
    assert rows == [
        {
            "prompt": _turns("user", text, layout),
            "chosen": _turns("assistant", f"good {text}", layout),
            "rejected": _turns("assistant", f"bad {text}", layout),
        }
        for text in TEXTS
    ]


@pytest.mark.parametrize("layout", ["standard", "conversational"])
@pytest.mark.parametrize("metadata", [False, True])
async def test_a_parquet_file_without_rows_has_the_schema_of_one_with_rows(
    client: httpx.AsyncClient,
    sessions: async_sessionmaker[AsyncSession],
    tmp_path: Path,
    layout: str,
    metadata: bool,
) -> None:
    async with sessions.begin() as session:
        await add_labelled_prompt(session, await add_project(session, "p"), "x", "good", "bad")
    query = httpx.QueryParams(file="parquet", layout=layout, metadata=metadata)

    full = await client.get("/exports/dpo", params=query.set("project", "p"))
    empty = await client.get("/exports/dpo", params=query)

    assert full.headers["content-type"] == "application/vnd.apache.parquet"
    filename = 'attachment; filename="default-dpo-all.parquet"'
    assert empty.headers["content-disposition"] == filename
    schemas = [pq.read_schema(io.BytesIO(answer.content)) for answer in (full, empty)]
    assert schemas[0].equals(schemas[1])
    # Without streaming `datasets` refuses every empty split, whatever the file.
    (tmp_path / "empty.parquet").write_bytes(empty.content)
    loaded = load_dataset(
        "parquet", data_files=str(tmp_path / "empty.parquet"), split="train", streaming=True
    )
    assert list(loaded) == []
    assert schemas[0].names == loaded.column_names


async def test_json_lines_with_nulls_load_with_arrow(
    client: httpx.AsyncClient, sessions: async_sessionmaker[AsyncSession]
) -> None:
    async with sessions.begin() as session:
        project_id = await add_project(session, "p")
        for number in range(3):
            await add_labelled_prompt(
                session, project_id, f"q{number}", "good", "bad", external_id=f"id-{number}"
            )

    answer = await client.get("/exports/dpo", params={"project": "p", "metadata": True})

    table = pj.read_json(io.BytesIO(answer.content))
    assert table["prompt_external_id"].to_pylist() == ["id-0", "id-1", "id-2"]
    assert table["propensity"].to_pylist() == [None, None, None]
