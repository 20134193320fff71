"""`annotation-budget export` against the real application: whole and verified, or nothing."""

import asyncio
import gzip
import io
import json
import zipfile
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from pathlib import Path

import httpx
import pytest
from datasets import load_dataset
from sqlalchemy import select

from app.storage.sessions import Sessions
from app.storage.tables import Project
from tests.cli.test_cli import transfer, url
from tests.exports.dataset import add_labelled_prompt

__all__ = ["url"]  # a fixture


def names(folder: Path) -> list[str]:
    return sorted(path.name for path in folder.iterdir())


@pytest.fixture
async def stored(sessions: Sessions) -> None:
    """Thirty labelled pairs in the default project."""
    async with sessions.begin() as session:
        project = (await session.execute(select(Project.id))).scalar_one()
        for number in range(30):
            await add_labelled_prompt(session, project, f"Why {number}?", "good", "bad")


async def test_a_folder_opens_with_datasets(
    url: str, stored: None, client: httpx.AsyncClient, tmp_path: Path
) -> None:
    out = tmp_path / "my-dataset"

    done = await transfer(url, "export", "dpo", "--out", str(out), "--test-fraction", "0.3")

    assert done == (0, b"", "")
    assert names(tmp_path) == ["my-dataset"]
    assert names(out) == [
        "README.md",
        "manifest.json",
        "test.jsonl",
        "train.jsonl",
    ]
    loaded = load_dataset(str(out), cache_dir=str(tmp_path / "cache"))
    assert {split: len(rows) for split, rows in loaded.items()} == {
        told["split"]: told["counts"]["rows"]
        for told in json.loads((out / "manifest.json").read_bytes())["files"][:2]
    }
    assert sum(map(len, loaded.values())) == 30


async def test_a_folder_that_is_in_use_is_left_alone(
    url: str, stored: None, tmp_path: Path
) -> None:
    (tmp_path / "mine").write_text("x")

    status, _, err = await transfer(url, "export", "dpo", "--out", str(tmp_path))

    assert status == 1
    assert "not empty" in err
    assert names(tmp_path) == ["mine"]
    empty = tmp_path / "empty"
    empty.mkdir()
    assert (await transfer(url, "export", "dpo", "--out", str(empty)))[0] == 0
    assert (empty / "manifest.json").exists()


async def test_a_packed_file_stays_packed(
    url: str, stored: None, client: httpx.AsyncClient, tmp_path: Path
) -> None:
    plain = (await client.get("/exports/dpo")).content
    out = tmp_path / "rows.jsonl.gz"

    done = await transfer(url, "export", "dpo", "--compression", "gzip", "--out", str(out))

    assert done == (0, b"", "")
    assert gzip.decompress(out.read_bytes()) == plain
    assert await transfer(url, "export", "dpo") == (0, plain, "")
    status, _, err = await transfer(url, "export", "dpo", "--compression", "zip")
    assert (status, err.rstrip()[-5:]) == (1, "(422)")


async def test_a_recipe_that_is_not_filled_is_told_in_one_line(url: str, stored: None) -> None:
    status, out, err = await transfer(url, "export", "self-exploring")

    assert (status, out) == (1, b"")
    assert "reference responses" in err


async def test_a_dataset_without_rows_is_told_and_leaves_no_folder(
    url: str, client: httpx.AsyncClient, tmp_path: Path
) -> None:
    status, _, err = await transfer(url, "export", "dpo", "--out", str(tmp_path / "my-dataset"))

    assert status == 1
    assert "no rows" in err
    assert names(tmp_path) == []


@asynccontextmanager
async def _serving(body: bytes) -> AsyncIterator[str]:
    """A server that gives these bytes, and says that they are all."""

    async def answer(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.readuntil(b"\r\n\r\n")
        writer.write(b"HTTP/1.1 200 OK\r\nContent-Length: %d\r\n\r\n" % len(body) + body)
        await writer.drain()
        writer.close()

    server = await asyncio.start_server(answer, "127.0.0.1", 0)
    async with server:
        yield f"http://127.0.0.1:{server.sockets[0].getsockname()[1]}"


def _other_rows(whole: bytes) -> bytes:
    """The bundle with a row less: a whole ZIP, of which the manifest says something else."""
    changed = io.BytesIO()
    with zipfile.ZipFile(io.BytesIO(whole)) as old, zipfile.ZipFile(changed, "w") as new:
        for name in old.namelist():
            content = old.read(name)
            new.writestr(name, content.split(b"\n", 1)[1] if name == "train.jsonl" else content)
    return changed.getvalue()


@pytest.mark.parametrize(
    ("path", "out", "damage"),
    [
        ("/exports/dpo?compression=gzip", "rows.jsonl", lambda whole: whole[:-9]),
        ("/exports/dpo?compression=gzip", "rows.jsonl", lambda _: b""),
        (
            "/exports/dpo?compression=gzip",
            "rows.jsonl",
            lambda whole: whole[:40] + b"x" + whole[41:],
        ),
        ("/exports/dpo/bundle", "folder", lambda whole: whole[:-9]),
        ("/exports/dpo/bundle", "folder", lambda whole: whole[:80] + b"x" + whole[81:]),
        ("/exports/dpo/bundle", "folder", _other_rows),
    ],
)
async def test_a_dataset_that_broke_off_is_never_written(
    stored: None,
    client: httpx.AsyncClient,
    tmp_path: Path,
    path: str,
    out: str,
    damage: Callable[[bytes], bytes],
) -> None:
    whole = (await client.get(path)).content

    async with _serving(damage(whole)) as address:
        status, _, err = await transfer(address, "export", "dpo", "--out", str(tmp_path / out))

    assert status == 1
    assert "broke off" in err
    assert names(tmp_path) == []
