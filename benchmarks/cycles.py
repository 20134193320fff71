"""Whole cycles (claim one pair, label it) a second over HTTP, against the bare statements.

    python -m benchmarks.cycles [--clients 32] [--seconds 5] [--rounds 5]

Both sides work on one embedded Postgres, one project, in turn, several rounds in one run; the bare
side asks the very statements of a cycle, without those for the keys, on as many connections. Then:
the latency of `GET /next-pairs` with a million pairs open over that with ten thousand.
"""

import argparse
import asyncio
import os
import socket
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Awaitable, Callable, Iterator, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import httpx
import orjson
import psycopg
import uvloop
from psycopg.rows import DictRow, dict_row

from app.accounts.service import hash_key
from app.storage.embedded.postgres import EmbeddedPostgres
from app.storage.engine import raw_dsn
from app.storage.migrate import upgrade
from benchmarks.cycle_statements import Asked, cycle_statements

_FEW_PAIRS = 10_000
_MANY_PAIRS = 1_000_000
_KEY = "benchmark-key-of-annotator-{}"
_LATENCY_CLAIMS = 300

_ADD_PAIRS = """
WITH project AS (SELECT id FROM projects WHERE name = 'default'),
made_prompts AS (
    INSERT INTO prompts (project_id, external_id, content, fingerprint, status, pairs_planned,
        pairs_total, exploration, near_duplicate, order_key)
    SELECT project.id, 'p' || n, '"Explain this."', int8send(n), 'ready', 1, 1, false, false, 0
    FROM project, generate_series(%(first)s::bigint, %(last)s::bigint) AS n
    RETURNING id, project_id, external_id
), made_responses AS (
    INSERT INTO responses (prompt_id, position, text)
    SELECT id, side, repeat('a word and ', 30) || side FROM made_prompts, generate_series(0, 1) side
    RETURNING id, prompt_id
)
INSERT INTO pairs (project_id, prompt_id, first_response_id, second_response_id, similarity, arm,
    strategy, position, expected_seconds, labels_wanted)
SELECT made_prompts.project_id, made_prompts.id, min(made_responses.id), max(made_responses.id),
    0.5, 'strategy', 'dissimilar', substr(external_id, 2)::float, 60, 1
FROM made_prompts JOIN made_responses ON made_responses.prompt_id = made_prompts.id
GROUP BY made_prompts.project_id, made_prompts.id, external_id
"""
_LEARNT = ("pair_id", "prompt_id", "assignment_id")
_SETTLE_STATISTICS = "VACUUM (ANALYZE) pairs, prompts, responses, assignments, labels, projects"


@dataclass(frozen=True)
class Measured:
    """Cycles a second, and the seconds that single requests (or transactions) took."""

    cycles_per_second: float
    seconds: list[float]

    def quantile(self, share: float) -> float:
        """The seconds that this share of them did not exceed."""
        return sorted(self.seconds)[int(share * (len(self.seconds) - 1))]


Cycle = Callable[[], Awaitable[list[float]]]


async def measure(cycles: list[Cycle], seconds: float) -> Measured:
    """Run each client's cycle over and over, all at once, for some seconds."""
    deadline = time.perf_counter() + seconds
    taken: list[float] = []
    done = 0

    async def work(cycle: Cycle) -> None:
        nonlocal done
        while time.perf_counter() < deadline:
            taken.extend(await cycle())
            done += 1

    started = time.perf_counter()
    await asyncio.gather(*(work(cycle) for cycle in cycles))
    return Measured(done / (time.perf_counter() - started), taken)


async def measure_bare(url: str, clients: int, seconds: float) -> Measured:
    """The statements of a cycle, on as many connections."""
    claim, label = await cycle_statements(url)
    connections = [
        await psycopg.AsyncConnection.connect(
            raw_dsn(url), prepare_threshold=0, row_factory=dict_row
        )
        for _ in range(clients)
    ]
    try:
        return await measure(
            [
                _bare_cycle(connection, number, claim, label)
                for number, connection in enumerate(connections)
            ],
            seconds,
        )
    finally:
        for connection in connections:
            await connection.close()


def _bare_cycle(
    connection: psycopg.AsyncConnection[DictRow],
    number: int,
    claim: Sequence[Asked],
    label: Sequence[Asked],
) -> Cycle:
    known: dict[str, Any] = {"annotator": f"annotator-{number}"}

    async def ask(statements: Sequence[Asked]) -> None:
        """As the service does, but nothing of the answers is looked at that is not needed next."""
        for each in statements:
            cursor = await connection.execute(each.statement.encode(), each.about(known))
            row = await cursor.fetchone() or {}
            known.update({name: row[name] for name in _LEARNT if row.get(name) is not None})
        await connection.commit()

    async def cycle() -> list[float]:
        if "annotator_id" not in known:
            cursor = await connection.execute(
                "SELECT id FROM annotators WHERE name = %(annotator)s", known
            )
            known["annotator_id"] = (await cursor.fetchone() or {})["id"]
            await connection.commit()
        started = time.perf_counter()
        await ask(claim)
        claimed = time.perf_counter()
        await ask(label)
        return [claimed - started, time.perf_counter() - claimed]

    return cycle


class Client:
    """One kept-alive connection: a client library would take more of the machine than the API."""

    def __init__(self, port: int, number: int) -> None:
        self._port = port
        self._head = f"Host: 127.0.0.1\r\nAuthorization: Bearer {_KEY.format(number)}\r\n"
        self._streams: tuple[asyncio.StreamReader, asyncio.StreamWriter] | None = None

    async def request(self, line: str, body: bytes = b"") -> bytes:
        """The body of the answer, which must be a success."""
        if self._streams is None:
            self._streams = await asyncio.open_connection("127.0.0.1", self._port)
        reader, writer = self._streams
        length = (
            f"Content-Type: application/json\r\nContent-Length: {len(body)}\r\n" if body else ""
        )
        writer.write(f"{line} HTTP/1.1\r\n{self._head}{length}\r\n".encode() + body)
        head = (await reader.readuntil(b"\r\n\r\n")).decode().lower()
        status = int(head.split(maxsplit=2)[1])
        answer = await reader.readexactly(int(head.split("content-length: ")[1].split()[0]))
        assert status in (200, 201), answer
        return answer

    async def cycle(self) -> list[float]:
        """Claim a pair and label it; the seconds that each took."""
        started = time.perf_counter()
        claim = await self.request("GET /next-pairs")
        claimed = time.perf_counter()
        assignment_id = orjson.loads(claim)["pairs"][0]["assignment_id"]
        label = orjson.dumps({"assignment_id": assignment_id, "choice": "tie"})
        sent = time.perf_counter()
        await self.request("POST /labels", label)
        return [claimed - started, time.perf_counter() - sent]

    def close(self) -> None:
        """Close the connection."""
        if self._streams is not None:
            self._streams[1].close()


async def measure_http(ports: list[int], clients: int, seconds: float) -> Measured:
    """Whole cycles over HTTP, the clients spread over the API processes."""
    opened = [Client(ports[number % len(ports)], number) for number in range(clients)]
    try:
        return await measure([client.cycle for client in opened], seconds)
    finally:
        for client in opened:
            client.close()


async def claim_latency(port: int) -> float:
    """The median seconds of a claim by one client with nobody else there."""
    client = Client(port, 0)
    taken = [(await client.cycle())[0] for _ in range(_LATENCY_CLAIMS)]
    client.close()
    return statistics.median(taken)


@contextmanager
def api_processes(url: str, count: int) -> Iterator[list[int]]:
    """API processes on ports of their own; these ports, once they answer."""
    environment = os.environ | {
        "DATABASE_URL": url,
        "LOG_LEVEL": "WARNING",
        "RATE_LIMIT_REQUESTS_PER_MINUTE": "0",
    }
    ports = [_free_port() for _ in range(count)]
    processes = [
        subprocess.Popen(
            [sys.executable, "-m", "app.cli", "api", "--port", str(port)], env=environment
        )
        for port in ports
    ]
    try:
        for port in ports:
            _wait_until_ready(f"http://127.0.0.1:{port}")
        yield ports
    finally:
        for process in processes:
            process.terminate()
        for process in processes:
            process.wait()


def _free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


def _wait_until_ready(address: str) -> None:
    deadline = time.monotonic() + 60
    while time.monotonic() < deadline:
        try:
            if httpx.get(f"{address}/readyz").status_code == 200:
                return
        except httpx.TransportError:
            time.sleep(0.1)
    raise TimeoutError(address)


def prepare(url: str, clients: int) -> None:
    """A project with some pairs, and the annotators."""
    with psycopg.connect(raw_dsn(url), autocommit=True) as connection:
        for number in range(clients):
            connection.execute(
                "INSERT INTO annotators (name, role, key_hash, all_projects, active)"
                " VALUES (%s, 'annotator', %s, true, true)",
                (f"annotator-{number}", hash_key(_KEY.format(number))),
            )
        # All pairs are of one arm: the other would be asked for in vain.
        connection.execute("UPDATE projects SET exploration = 0")
        connection.execute(_ADD_PAIRS, {"first": 1, "last": _FEW_PAIRS * 4})
        connection.execute(_SETTLE_STATISTICS)


def set_open_pairs(url: str, count: int, first: int) -> None:
    """Leave so many pairs open, new ones added at the end of the plan."""
    with psycopg.connect(raw_dsn(url), autocommit=True) as connection:
        connection.execute("UPDATE pairs SET skips = 3 WHERE open")
        connection.execute(_ADD_PAIRS, {"first": first, "last": first + count - 1})
        connection.execute(_SETTLE_STATISTICS)


def main() -> None:
    """Measure, and print ratios."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--clients", type=int, default=32)
    parser.add_argument("--seconds", type=float, default=5)
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--api-processes", type=int, default=2)
    parser.add_argument("--no-latency", action="store_true", help="leave the million pairs out")
    options = parser.parse_args()
    with ExitStack() as stack:
        folder = stack.enter_context(tempfile.TemporaryDirectory(ignore_cleanup_errors=True))
        Path(folder).chmod(0o755)
        url = stack.enter_context(EmbeddedPostgres(Path(folder) / "data")).url
        upgrade(url)
        prepare(url, options.clients)
        run = uvloop.run
        ports = stack.enter_context(api_processes(url, options.api_processes))
        run(measure_http(ports, options.clients, 1))  # warm
        print(f"{options.clients} clients, {options.api_processes} API processes")
        shares, ratios = [], []
        for _ in range(options.rounds):
            bare = run(measure_bare(url, options.clients, options.seconds))
            over_http = run(measure_http(ports, options.clients, options.seconds))
            shares.append(over_http.cycles_per_second / bare.cycles_per_second)
            ratios.append(over_http.quantile(0.99) / bare.quantile(0.5))
            print(
                f"bare statements {bare.cycles_per_second:7.1f} cycles/s,"
                f" p50 {bare.quantile(0.5) * 1000:6.1f} ms a transaction;"
                f" over HTTP {over_http.cycles_per_second:7.1f} cycles/s,"
                f" p50 {over_http.quantile(0.5) * 1000:6.1f} ms,"
                f" p99 {over_http.quantile(0.99) * 1000:6.1f} ms a request"
            )
        print(f"share of bare, median of the rounds: {statistics.median(shares):.2f} (aim 0.30)")
        print(f"p99 / bare p50, median of the rounds: {statistics.median(ratios):.1f} (aim < 10)")
        if not options.no_latency:
            latencies = []
            for number, count in enumerate((_FEW_PAIRS, _MANY_PAIRS)):
                set_open_pairs(url, count, first=(number + 1) * 10_000_000)
                latencies.append(run(claim_latency(ports[0])))
            print(
                f"claim at {_MANY_PAIRS:,} open pairs / at {_FEW_PAIRS:,}:"
                f" {latencies[1] / latencies[0]:.2f} (aim <= 1.5)"
            )


if __name__ == "__main__":
    main()
