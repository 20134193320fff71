"""Import of responses with their embeddings over HTTP, beside bare COPY of the same rows.

    python -m benchmarks.import_speed [--responses 1000000] [--rounds 3] [--url postgresql://...]

Lines of prompts with four responses and 384 numbers each are written to a file, once as base64 and
once as JSON lists. In turn, in one run: the file through `POST /prompts/import`, into an empty
project; and `COPY ... FROM STDIN` of the very rows that this made (prompts, responses, embeddings,
taken out before as COPY's binary form) into empty tables of the same columns, keys and indexes. For
lists, the bare side parses the lines' JSON too. Aims: base64 at least 20% of COPY,
lists at least 60% of parsing and COPY.
"""

import argparse
import base64
import statistics
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path
from typing import IO

import httpx
import numpy as np
import orjson
import psycopg
from psycopg import sql

from app.storage.engine import raw_dsn
from benchmarks.export_speed import api, database

_TABLES = ("prompts", "responses", "response_embeddings", "prompt_embeddings")
_RESPONSES_PER_PROMPT = 4
_DIMENSIONS = 384
_CHUNK_BYTES = 1024 * 1024
_AIMS = {"base64": 0.2, "lists": 0.6}
_TEXT = "an answer of some forty words, " * 7


def write_lines(file: IO[bytes], prompts: int, form: str) -> None:
    """Prompts with their responses and embeddings, one a line."""
    generator = np.random.default_rng(0)
    shape = (_RESPONSES_PER_PROMPT, _DIMENSIONS)
    for number in range(prompts):
        vectors = generator.standard_normal(shape, dtype=np.float32)
        responses = [
            {
                "id": f"r{place}",
                "text": f"{_TEXT}{number} {place}",
                "embedding": (
                    base64.b64encode(vector.tobytes()).decode()
                    if form == "base64"
                    else vector.round(6).tolist()
                ),
            }
            for place, vector in enumerate(vectors)
        ]
        line = {"id": f"p{number}", "prompt": f"Explain number {number}.", "responses": responses}
        file.write(orjson.dumps(line, option=orjson.OPT_APPEND_NEWLINE))


def chunks(path: Path) -> Iterator[bytes]:
    """The file, a piece at a time."""
    with path.open("rb") as file:
        while chunk := file.read(_CHUNK_BYTES):
            yield chunk


def import_seconds(client: httpx.Client, project: str, path: Path, prompts: int) -> float:
    """The file through the service, into a project of its own."""
    client.post("/projects", json={"name": project}).raise_for_status()
    start = time.perf_counter()
    answer = client.post(
        "/prompts/import",
        params={"project": project},
        headers={"Content-Type": "application/x-ndjson"},
        content=chunks(path),
    )
    seconds = time.perf_counter() - start
    answer.raise_for_status()
    assert answer.json()["created"] == prompts, answer.json()
    return seconds


def parse_seconds(path: Path) -> float:
    """Bare JSON parsing of every line."""
    seconds = 0.0
    with path.open("rb") as file:
        for line in file:
            start = time.perf_counter()
            orjson.loads(line)
            seconds += time.perf_counter() - start
    return seconds


def copy_out(url: str, folder: Path) -> None:
    """Keep what was imported as COPY's binary form, and make empty tables like those it is in."""
    with psycopg.connect(raw_dsn(url)) as connection, connection.cursor() as cursor:
        for table in _TABLES:
            name = sql.Identifier(table)
            bare = sql.Identifier(f"bare_{table}")
            like = sql.SQL("CREATE TABLE {} (LIKE {} INCLUDING ALL)")
            cursor.execute(like.format(bare, name))
            statement = sql.SQL("COPY {} TO STDOUT (FORMAT BINARY)").format(name)
            with (folder / table).open("wb") as file, cursor.copy(statement) as copy:
                for piece in copy:
                    file.write(piece)


def copy_seconds(url: str, folder: Path) -> float:
    """The same rows into the empty tables, in one transaction, which is then undone."""
    with psycopg.connect(raw_dsn(url)) as connection, connection.cursor() as cursor:
        start = time.perf_counter()
        for table in _TABLES:
            statement = sql.SQL("COPY {} FROM STDIN (FORMAT BINARY)")
            with cursor.copy(statement.format(sql.Identifier(f"bare_{table}"))) as copy:
                for piece in chunks(folder / table):
                    copy.write(piece)
        seconds = time.perf_counter() - start
        connection.rollback()
    return seconds


def measure(url: str, client: httpx.Client, folder: Path, arguments: argparse.Namespace) -> None:
    """Both forms, several rounds each."""
    prompts = arguments.responses // _RESPONSES_PER_PROMPT
    responses = prompts * _RESPONSES_PER_PROMPT
    is_copied = False
    for form, aim in _AIMS.items():
        path = folder / form
        with path.open("wb") as file:
            write_lines(file, prompts, form)
        ratios = []
        for number in range(arguments.rounds):
            imported = import_seconds(client, f"{form}-{number}", path, prompts)
            if not is_copied:
                copy_out(url, folder)
                is_copied = True
            bare = copy_seconds(url, folder)
            if form == "lists":
                bare += parse_seconds(path)
            ratios.append(bare / imported)
            print(
                f"{form}: import {responses / imported:,.0f} responses/s,"
                f" bare {responses / bare:,.0f}, ratio {ratios[-1]:.2f}",
                flush=True,
            )
        print(f"{form}: median ratio {statistics.median(ratios):.2f} (aim: {aim})", flush=True)
        path.unlink()


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0] if __doc__ else None)
    parser.add_argument("--responses", type=int, default=1_000_000)
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--url", help="a server to work on, in a database of its own")
    arguments = parser.parse_args()
    with (
        tempfile.TemporaryDirectory(prefix="ab-bench-") as folder,
        database(arguments.url) as url,
        api(url) as (client, _),
    ):
        measure(url, client, Path(folder), arguments)


if __name__ == "__main__":
    main()
