"""A plan of the next 10,000 pairs of a project of 1,000,000 prompts: time, and memory.

    python -m benchmarks.plan_large [--prompts 1000000] [--pairs 10000] [--strategy NAME]
        [--responses 3] [--dimensions 384] [--url postgresql://...]

The tables are filled with prompts that have arrived in the plan, with responses of some fifty words
and random unit vectors. Then a planner works on a real Postgres, in a process of its own, until so
many pairs have been planned: it plans ahead, what it planned is handed out and labelled (not
timed), it plans on. Once without its index, and once with the FAISS index of all prompts, which is
built before and read from its file as after a restart. Aims: under 10 s and under 2 GiB.
"""

import argparse
import asyncio
import contextlib
import multiprocessing
import resource
import tempfile
import time
from collections.abc import Callable, Iterable, Iterator
from dataclasses import asdict, dataclass
from pathlib import Path

import numpy as np
import psutil
import psycopg
from psycopg import sql
from sqlalchemy import text

from app.planner.index import ProjectIndex, index_path
from app.planner.project import ProjectPlanner
from app.planner.queries.outlook import Outlook, read_outlooks
from app.projects.schemas import NewProject
from app.settings import DEFAULT_PROJECT
from app.storage.engine import create_engine, raw_dsn, session_factory
from app.storage.sessions import Sessions
from app.vectors import snapshot
from app.vectors.index import VectorIndex
from app.vectors.marks import START, Mark
from app.vectors.service import cluster, read_additions
from benchmarks.export_speed import database

_ROWS = 20_000
_WORDS = "an answer that somebody might well have written to the question "
_KIBIBYTE = 1024
_MEBIBYTE = 1024 * 1024

_PROMPTS = """
    INSERT INTO prompts (id, project_id, external_id, content, fingerprint, status, group_id,
        exploration, near_duplicate, order_key, pairs_total, pairs_considered)
    SELECT number, %(project)s, 'p' || number, to_jsonb('Explain number ' || number), '', 'ready',
        number, random() < 0.1, false, random(), %(pairs)s, %(pairs)s
    FROM generate_series(1, %(prompts)s) AS number
"""
_RESPONSES = """
    INSERT INTO responses (id, prompt_id, position, text)
    SELECT (number - 1) * %(responses)s + place + 1, number, place,
        repeat(%(words)s, 3 + (number + place)::integer %% 4) || number
    FROM generate_series(1, %(prompts)s) AS number,
        generate_series(0, %(responses)s - 1) AS place
"""
_ANSWER = """
    WITH answered AS (
        UPDATE pairs SET handed_out = true, counted = 1
        WHERE project_id = %(project)s AND arm = 'strategy' AND NOT handed_out
        RETURNING id, prompt_id, first_response_id, second_response_id
    ), labelled AS (
        INSERT INTO labels (project_id, prompt_id, pair_id, annotator, choice, status,
            preferred_response_id, rejected_response_id)
        SELECT %(project)s, prompt_id, id, 'ann', 'left', 'counted', first_response_id,
            second_response_id
        FROM answered
    )
    UPDATE projects SET counted_labels = counted_labels + (SELECT count(*) FROM answered)
    WHERE id = %(project)s
"""


_BACKENDS = text("""
    SELECT pid FROM pg_stat_activity
    WHERE datname = current_database() AND backend_type = 'client backend'
""")


class _NoIndex(ProjectIndex):
    """Never catches up, so that planning is measured alone."""

    def has_work(self, project: Outlook) -> bool:  # noqa: ARG002 - it has none, whatever comes
        return False

    async def catch_up(self) -> bool:
        return False


@dataclass(frozen=True)
class Figures:
    """What a planner took."""

    opening_seconds: float
    planning_seconds: float
    slowest_seconds: float
    """Of the times it planned ahead."""
    cpu_seconds: float
    """Of the planner's process, while planning."""
    database_cpu_seconds: float
    """Of the backends that served it."""
    pairs: int
    mebibytes: float
    """The most it held at a time."""


def fill(url: str, asked: argparse.Namespace) -> int:
    """Write the prompts; gives the project's number."""
    pairs = asked.responses * (asked.responses - 1) // 2
    with psycopg.connect(raw_dsn(url)) as connection:
        [[project]] = connection.execute(
            "UPDATE projects SET strategy = %s, embedding_source = 'caller',"
            " embedding_dimensions = %s WHERE name = %s RETURNING id",
            (asked.strategy, asked.dimensions, DEFAULT_PROJECT),
        ).fetchall()
        values = {**vars(asked), "project": project, "pairs": pairs, "words": _WORDS}
        connection.execute(_PROMPTS, values)
        connection.execute(_RESPONSES, values)
        responses = asked.prompts * asked.responses
        _copy_vectors(connection, "response_embeddings", responses, asked.dimensions, ())
        _copy_vectors(connection, "prompt_embeddings", asked.prompts, asked.dimensions, (project,))
        connection.execute(
            "UPDATE project_intake SET prompts = %s WHERE project_id = %s", (asked.prompts, project)
        )
        connection.commit()
        connection.autocommit = True
        connection.execute("VACUUM ANALYZE")
    return int(project)


def _copy_vectors(
    connection: psycopg.Connection,
    table: str,
    count: int,
    dimensions: int,
    project: tuple[int, ...],
) -> None:
    """Random unit vectors under the numbers 1 to ``count``."""
    columns = {"response_embeddings": ("response_id", "vector")}.get(
        table, ("prompt_id", "project_id", "vector")
    )
    statement = sql.SQL("COPY {} ({}) FROM STDIN (FORMAT BINARY)").format(
        sql.Identifier(table), sql.SQL(", ").join(map(sql.Identifier, columns))
    )
    rng = np.random.default_rng(count)
    with connection.cursor() as cursor, cursor.copy(statement) as copy:
        copy.set_types(["int8"] * (1 + len(project)) + ["bytea"])
        for number, vector in enumerate(_vectors(rng, count, dimensions), start=1):
            copy.write_row((number, *project, vector))


def _vectors(rng: np.random.Generator, count: int, dimensions: int) -> Iterator[bytes]:
    for start in range(0, count, _ROWS):
        rows = rng.standard_normal((min(_ROWS, count - start), dimensions), dtype=np.float32)
        rows /= np.linalg.norm(rows, axis=1, keepdims=True)
        yield from map(bytes, rows.astype("<f2"))


async def save_index(url: str, project: int, folder: Path) -> None:
    """Build the index of all prompts, and save it where the planner looks for it."""
    engine = create_engine(url, pool_size=1)
    async with session_factory(engine)() as session:
        [outlook] = await read_outlooks(session, [project])
        assert outlook.dimensions is not None
        index, position = VectorIndex(outlook.dimensions), START.embedded
        complete = False
        while not complete:
            read = await read_additions(
                session, outlook.grouped_by, position, outlook.dimensions, _ROWS
            )
            index.add(read.ids, read.vectors)
            position, complete = read.position, read.complete
        owner = f"project {project} seed {outlook.seed} in cluster {await cluster(session)}"
    mark = Mark(position, START.erased)
    snapshot.save(index_path(folder, project), index, mark, owner=owner)
    await engine.dispose()


async def plan(url: str, project: int, folder: Path, pairs: int, *, with_index: bool) -> Figures:
    """Let a planner plan so many pairs."""
    engine = create_engine(url, pool_size=4)
    sessions = session_factory(engine)
    kind = ProjectIndex if with_index else _NoIndex
    planner = ProjectPlanner(sessions, kind(project, sessions, index_path(folder, project)))
    began = time.perf_counter()
    if with_index:
        await planner.index.similar(1, 1)
    opening = time.perf_counter() - began
    seconds: list[float] = []
    cpu = database_cpu = 0.0
    planned = 0
    while planned < pairs:
        began, cpu_began = time.perf_counter(), time.process_time()
        database_began = await _database_cpu(sessions)
        await _plan_ahead(planner, sessions, project)
        seconds.append(time.perf_counter() - began)
        cpu += time.process_time() - cpu_began
        database_cpu += await _database_cpu(sessions) - database_began
        with psycopg.connect(raw_dsn(url)) as connection:
            connection.execute(_ANSWER, {"project": project})
            [[planned]] = connection.execute(
                "SELECT count(*) FROM pairs WHERE project_id = %s", (project,)
            ).fetchall()
    await engine.dispose()
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * _KIBIBYTE / _MEBIBYTE
    return Figures(opening, sum(seconds), max(seconds), cpu, database_cpu, planned, peak)


async def _database_cpu(sessions: Sessions) -> float:
    """CPU seconds of this database's backends so far; 0 where they run on another machine."""
    async with sessions() as session:
        pids = await session.scalars(_BACKENDS)
    spent = 0.0
    for pid in pids:
        with contextlib.suppress(psutil.Error):
            times = psutil.Process(pid).cpu_times()
            spent += times.user + times.system
    return spent


async def _plan_ahead(planner: ProjectPlanner, sessions: Sessions, project: int) -> None:
    async def outlook() -> Outlook:
        async with sessions() as session:
            [found] = await read_outlooks(session, [project])
        return found

    while planner.has_work(await outlook()):
        await planner.take_turn()


def measure(url: str, project: int, folder: Path, pairs: int, with_index: bool) -> None:
    """In a process of its own: plan, and print what it took."""
    figures = asyncio.run(plan(url, project, folder, pairs, with_index=with_index))
    said = ", ".join(f"{name} {value:,.1f}" for name, value in asdict(figures).items())
    print(f"{'with' if with_index else 'without'} the index: {said}", flush=True)


def build(url: str, project: int, folder: Path) -> None:
    """In a process of its own: build and save the index."""
    asyncio.run(save_index(url, project, folder))


def clear(url: str, project: int) -> None:
    """Nothing is planned, and nothing labelled."""
    with psycopg.connect(raw_dsn(url)) as connection:
        connection.execute("TRUNCATE pairs CASCADE")
        connection.execute("UPDATE prompts SET pairs_planned = 0 WHERE pairs_planned > 0")
        connection.execute("UPDATE projects SET counted_labels = 0 WHERE id = %s", (project,))


def _apart(function: Callable[..., None], arguments: Iterable[object]) -> None:
    context = multiprocessing.get_context("spawn")
    process = context.Process(target=function, args=tuple(arguments))
    process.start()
    process.join()
    if process.exitcode:
        raise SystemExit(process.exitcode)


def main() -> None:
    """Fill the tables, and measure twice."""
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0] if __doc__ else None)
    parser.add_argument("--prompts", type=int, default=1_000_000)
    parser.add_argument("--responses", type=int, default=3)
    parser.add_argument("--dimensions", type=int, default=384)
    parser.add_argument("--pairs", type=int, default=10_000)
    parser.add_argument("--strategy", default=NewProject(name="any").strategy)
    parser.add_argument("--url", help="a server to work on, in a database of its own")
    asked = parser.parse_args()
    with tempfile.TemporaryDirectory(prefix="ab-bench-") as name, database(asked.url) as url:
        folder = Path(name)
        began = time.perf_counter()
        project = fill(url, asked)
        print(f"{asked.prompts:,} prompts, {asked.strategy}: filled in", end=" ")
        print(f"{time.perf_counter() - began:.0f} s", flush=True)
        _apart(measure, (url, project, folder, asked.pairs, False))
        began = time.perf_counter()
        _apart(build, (url, project, folder))
        print(f"index built in {time.perf_counter() - began:.0f} s", flush=True)
        clear(url, project)
        _apart(measure, (url, project, folder, asked.pairs, True))


if __name__ == "__main__":
    main()
