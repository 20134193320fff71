"""Hits are counted by the minute, shared by processes through Redis, and never delay a request."""

import asyncio
import socket
import time
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager
from pathlib import Path

import pytest
import structlog
from limits import RateLimitItemPerMinute

from app.http.rate_limits import HitCounter
from tests.support.redis_server import RedisServer, running_redis

THREE = RateLimitItemPerMinute(3, namespace="requests")


@pytest.fixture
def server(tmp_path: Path) -> Iterator[RedisServer]:
    with running_redis(tmp_path) as started:
        yield started


@asynccontextmanager
async def counting(url: str | None, retry_seconds: float = 5.0) -> AsyncIterator[HitCounter]:
    made = HitCounter(url, retry_seconds=retry_seconds)
    yield made
    await made.close()


async def refusals(counter: HitCounter, hits: int, name: str = "a") -> list[bool]:
    return [await counter.hit(THREE, name) is not None for _ in range(hits)]


async def test_beyond_the_limit_a_hit_is_told_how_long_to_wait() -> None:
    async with counting(None) as counter:
        assert await refusals(counter, 5) == [False, False, False, True, True]
        assert await refusals(counter, 1, "b") == [False]
        wait = await counter.hit(THREE, "a")
        assert wait is not None
        assert 0 < wait <= 60


async def test_several_processes_count_together_in_redis(server: RedisServer) -> None:
    async with counting(server.url) as one, counting(server.url) as other:
        assert await refusals(one, 2) == [False, False]
        assert await refusals(other, 2) == [False, True]
        wait = await one.hit(THREE, "a")
        assert wait is not None
        assert 0 < wait <= 60


async def test_without_redis_in_mid_run_each_process_counts_on_and_comes_back(
    server: RedisServer,
) -> None:
    with structlog.testing.capture_logs() as told:
        async with counting(server.url, retry_seconds=0) as counter:
            assert await refusals(counter, 4) == [False, False, False, True]
            server.kill()
            assert await refusals(counter, 4) == [False, False, False, True]
            server.start()
            assert await refusals(counter, 4) == [False, False, False, True]
    assert [line["event"] for line in told] == [
        "Redis does not answer; going on without it",
        "Redis is back",
    ]


async def test_a_redis_that_does_not_answer_costs_one_short_wait() -> None:
    with socket.create_server(("127.0.0.1", 0)) as silent:
        url = f"redis://127.0.0.1:{silent.getsockname()[1]}/0"
        async with counting(url) as counter:
            begin = time.perf_counter()
            assert await refusals(counter, 100) == 3 * [False] + 97 * [True]
            assert time.perf_counter() - begin < 0.5
            many = await asyncio.gather(*(counter.hit(THREE, "b") for _ in range(10)))
            assert sum(wait is None for wait in many) == 3
