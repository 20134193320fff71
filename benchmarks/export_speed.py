"""Export of many labels over HTTP: rows a second beside COPY of the same query, and memory.

    python -m benchmarks.export_speed [--labels 1000000] [--rounds 3] [--fitted reward ...]
        [--url postgresql://...]

One embedded Postgres (or a database of its own on the server of ``--url``), one project of prompts
with two responses, random vectors of 384 dimensions and a label each. In turn, in one run:
`COPY (the same query) TO STDOUT` through psycopg, and `GET /exports/dpo` from an API process of its
own, both thrown away as they come. Then each recipe of ``--fitted`` once, which reads the vectors
too. Aims: rows a second at least 25% of COPY's for `dpo`, and less than 100 MiB of growth of the
API process.
"""

import argparse
import os
import secrets
import socket
import statistics
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import Any

import httpx
import numpy as np
import psutil
import psycopg
from psycopg import sql
from sqlalchemy import make_url
from sqlalchemy.dialects import postgresql

from app.embedding.unit import normalise, to_bytes
from app.exports.queries.pairs import Source, select_labelled_pairs
from app.storage.embedded.postgres import EmbeddedPostgres
from app.storage.engine import raw_dsn
from app.storage.migrate import upgrade

KEY = "benchmark-key-of-the-admin"
_PROMPTS_AT_ONCE = 50_000
_START_SECONDS = 60.0
_DRAWN = 4096
_DIMENSIONS = 384
_AIMS = "aims: ratio 0.25, growth under 100 MiB"

_FILL = """
WITH made_prompts AS (
    INSERT INTO prompts (project_id, external_id, content, fingerprint, status, group_id,
        pairs_planned, pairs_total)
    SELECT id, 'p' || n, to_jsonb('Explain number ' || n || repeat(' in some detail', 8)),
        int8send(n), 'ready', n, 1, 1
    FROM projects, generate_series(%(first)s::bigint, %(last)s::bigint) AS n
    WHERE name = 'default'
    RETURNING id, project_id
), made_responses AS (
    INSERT INTO responses (prompt_id, position, text)
    SELECT id, side, repeat('a word and ', 30) || side FROM made_prompts, generate_series(0, 1) side
    RETURNING id, prompt_id
), made_pairs AS (
    INSERT INTO pairs (project_id, prompt_id, first_response_id, second_response_id, similarity,
        arm, strategy, position, expected_seconds, labels_wanted, counted)
    SELECT project_id, made_prompts.id, min(made_responses.id), max(made_responses.id), 0.5,
        'strategy', 'dissimilar', 0, 60, 1, 1
    FROM made_prompts JOIN made_responses ON made_responses.prompt_id = made_prompts.id
    GROUP BY project_id, made_prompts.id
    RETURNING *
)
INSERT INTO labels (project_id, prompt_id, pair_id, annotator, choice, preferred_response_id,
    rejected_response_id, status)
SELECT project_id, prompt_id, id, 'ana', 'left', first_response_id, second_response_id, 'counted'
FROM made_pairs
"""
_VECTORS = """
WITH numbers AS (
    INSERT INTO prompt_embeddings (prompt_id, project_id, vector)
    SELECT id, project_id, vector FROM prompts JOIN drawn ON drawn.number = prompts.id %% %(drawn)s
), project AS (
    UPDATE projects SET embedding_source = 'caller', embedding_dimensions = %(dimensions)s
    WHERE name = 'default'
)
INSERT INTO response_embeddings (response_id, vector)
SELECT id, vector FROM responses JOIN drawn ON drawn.number = responses.id * 7919 %% %(drawn)s
"""


@contextmanager
def database(given: str | None) -> Iterator[str]:
    """A migrated database: on an embedded server, or made on the given one and dropped again."""
    with ExitStack() as stack:
        if given is None:
            folder = Path(stack.enter_context(tempfile.TemporaryDirectory(prefix="ab-bench-")))
            folder.chmod(0o755)
            url = stack.enter_context(EmbeddedPostgres(folder / "data")).url
        else:
            name = f"bench_{secrets.token_hex(4)}"
            _run(given, sql.SQL("CREATE DATABASE {}").format(sql.Identifier(name)))
            drop = sql.SQL("DROP DATABASE {} WITH (FORCE)").format(sql.Identifier(name))
            stack.callback(_run, given, drop)
            url = make_url(given).set(database=name).render_as_string(hide_password=False)
        upgrade(url)
        yield url


def _run(url: str, statement: sql.Composed) -> None:
    with psycopg.connect(raw_dsn(url), autocommit=True) as connection:
        connection.execute(statement)


@contextmanager
def api(url: str) -> Iterator[tuple[httpx.Client, psutil.Process]]:
    """An API process over the database, with a client of it."""
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        port = taken.getsockname()[1]
    environment = os.environ | {
        "DATABASE_URL": url,
        "ADMIN_KEY": KEY,
        "PORT": str(port),
        "LOG_LEVEL": "WARNING",
    }
    process = subprocess.Popen([sys.executable, "-m", "app.cli", "api"], env=environment)
    try:
        with httpx.Client(
            base_url=f"http://127.0.0.1:{port}",
            headers={"Authorization": f"Bearer {KEY}"},
            timeout=None,
            trust_env=False,
        ) as client:
            _wait_for(client)
            yield client, psutil.Process(process.pid)
    finally:
        process.terminate()
        process.wait()


def _wait_for(client: httpx.Client) -> None:
    deadline = time.monotonic() + _START_SECONDS
    while True:
        try:
            client.get("/readyz").raise_for_status()
        except httpx.TransportError:
            if time.monotonic() > deadline:
                raise
            time.sleep(0.1)
        else:
            return


def fill(url: str, labels: int) -> int:
    """Labels, one a pair, one pair a prompt; the project's number."""
    with psycopg.connect(raw_dsn(url), autocommit=True) as connection:
        for first in range(1, labels + 1, _PROMPTS_AT_ONCE):
            last = min(first + _PROMPTS_AT_ONCE - 1, labels)
            connection.execute(_FILL, {"first": first, "last": last})
        _fill_vectors(connection)
        connection.execute("VACUUM (ANALYZE)")
        row = connection.execute("SELECT id FROM projects WHERE name = 'default'").fetchone()
        assert row is not None
        return int(row[0])


def _fill_vectors(connection: psycopg.Connection[tuple[Any, ...]]) -> None:
    """One of a few thousand random vectors for every text."""
    vectors = normalise(np.random.default_rng(0).standard_normal((_DRAWN, _DIMENSIONS)))
    connection.execute("CREATE TEMPORARY TABLE drawn (number int PRIMARY KEY, vector bytea)")
    with connection.cursor() as cursor:
        cursor.executemany(
            "INSERT INTO drawn VALUES (%s, %s)",
            [(number, to_bytes(vector)) for number, vector in enumerate(vectors)],
        )
    connection.execute(_VECTORS, {"drawn": _DRAWN, "dimensions": _DIMENSIONS})


def copy_seconds(url: str, project_id: int) -> float:
    """`COPY (the same query) TO STDOUT`, thrown away."""
    statement = select_labelled_pairs(Source(project_id, surplus=False)).compile(
        dialect=postgresql.dialect(),  # type: ignore[no-untyped-call]  # SQLAlchemy types it not
        compile_kwargs={"literal_binds": True},
    )
    with psycopg.connect(raw_dsn(url)) as connection, connection.cursor() as cursor:
        cursor.execute("SET jit = off")
        start = time.perf_counter()
        with cursor.copy(f"COPY ({statement}) TO STDOUT".encode()) as copy:
            for _ in copy:
                pass
        return time.perf_counter() - start


def export_seconds(client: httpx.Client, recipe: str) -> tuple[float, int]:
    """`GET /exports/{recipe}`, thrown away but for its lines' count."""
    start, lines = time.perf_counter(), 0
    with client.stream("GET", f"/exports/{recipe}") as response:
        response.raise_for_status()
        for piece in response.iter_raw():
            lines += piece.count(b"\n")
    return time.perf_counter() - start, lines


class PeakMemory(threading.Thread):
    """Watches how large a process becomes."""

    def __init__(self, process: psutil.Process) -> None:
        super().__init__(daemon=True)
        self._process = process
        self._done = threading.Event()
        self.before = self.peak = process.memory_info().rss

    def run(self) -> None:
        while not self._done.wait(0.05):
            self.peak = max(self.peak, self._process.memory_info().rss)

    def growth_mib(self) -> float:
        self._done.set()
        self.join()
        return (self.peak - self.before) / 2**20


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0] if __doc__ else None)
    parser.add_argument("--labels", type=int, default=1_000_000)
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--fitted", nargs="*", default=["reward"], help="recipes with rewards")
    parser.add_argument("--url", help="a server to work on, in a database of its own")
    arguments = parser.parse_args()
    with database(arguments.url) as url, api(url) as (client, process):
        project_id = fill(url, arguments.labels)
        client.get("/exports/dpo", params={"split": "test", "test_fraction": 0}).raise_for_status()
        memory = PeakMemory(process)
        memory.start()
        ratios = []
        for _ in range(arguments.rounds):
            copied = copy_seconds(url, project_id)
            exported, rows = export_seconds(client, "dpo")
            assert rows == arguments.labels
            ratios.append(copied / exported)
            print(
                f"{rows} labels: COPY {rows / copied:,.0f} rows/s,"
                f" export {rows / exported:,.0f} rows/s, ratio {ratios[-1]:.2f}",
                flush=True,
            )
        print(
            f"median ratio {statistics.median(ratios):.2f};"
            f" the API grew by {memory.growth_mib():.0f} MiB ({_AIMS})",
            flush=True,
        )
        for recipe in arguments.fitted:
            memory = PeakMemory(process)
            memory.start()
            taken, rows = export_seconds(client, recipe)
            print(
                f"{recipe}: {rows} rows in {taken:.0f} s, {rows / taken:,.0f} rows/s;"
                f" the API grew by {memory.growth_mib():.0f} MiB",
                flush=True,
            )


if __name__ == "__main__":
    main()
