"""Expensive figures are computed once for concurrent callers, and cached by one of two rules."""

import asyncio
from dataclasses import dataclass, field

import pytest

from app.insights.cache import Cache, fresh_in_proportion_to_cost, fresh_until_labels_change

LABELS = 1000


@dataclass
class Computation:
    """Counts its runs, each of which takes a set time on its own clock."""

    takes: float = 0.0
    now: float = 100.0
    runs: int = 0
    has_begun: asyncio.Event = field(default_factory=asyncio.Event)
    may_end: asyncio.Event = field(default_factory=asyncio.Event)
    is_slow: bool = False

    def clock(self) -> float:
        return self.now

    async def run(self) -> int:
        self.runs += 1
        run = self.runs
        self.has_begun.set()
        if self.is_slow:
            await self.may_end.wait()
        self.now += self.takes
        return run


def by_cost(computation: Computation) -> Cache[int]:
    return Cache(fresh_in_proportion_to_cost, clock=computation.clock)


def by_labels(computation: Computation) -> Cache[int]:
    return Cache(fresh_until_labels_change, one_at_a_time=True, clock=computation.clock)


async def test_cheap_figures_are_computed_each_time() -> None:
    computation = Computation(takes=0.1)
    cache = by_cost(computation)

    assert [await cache.get(1, LABELS, computation.run) for _ in range(3)] == [1, 2, 3]


async def test_expensive_figures_are_fresh_for_twenty_times_as_long_as_they_took() -> None:
    computation = Computation(takes=2.0)
    cache = by_cost(computation)

    assert await cache.get(1, LABELS, computation.run) == 1
    computation.now += 39
    assert await cache.get(1, LABELS, computation.run) == 1
    computation.now += 2
    assert await cache.get(1, LABELS, computation.run) == 2


async def test_very_expensive_figures_are_fresh_for_ten_minutes() -> None:
    computation = Computation(takes=60.0)
    cache = by_cost(computation)

    assert await cache.get(1, LABELS, computation.run) == 1
    computation.now += 599
    assert await cache.get(1, LABELS, computation.run) == 1
    computation.now += 2
    assert await cache.get(1, LABELS, computation.run) == 2


async def test_callers_during_a_computation_share_the_next_one() -> None:
    computation = Computation(takes=0.01, is_slow=True)
    cache = by_cost(computation)

    first = asyncio.create_task(cache.get(1, LABELS, computation.run))
    await computation.has_begun.wait()
    computation.now += 0.05
    others = [asyncio.create_task(cache.get(1, LABELS, computation.run)) for _ in range(5)]
    await asyncio.sleep(0)
    computation.may_end.set()

    assert await first == 1
    assert await asyncio.gather(*others) == [2] * 5


async def test_a_caller_that_goes_away_does_not_fail_the_others() -> None:
    computation = Computation(takes=2.0, is_slow=True)
    cache = by_cost(computation)

    first = asyncio.create_task(cache.get(1, LABELS, computation.run))
    await computation.has_begun.wait()
    second = asyncio.create_task(cache.get(1, LABELS, computation.run))
    first.cancel()
    computation.may_end.set()

    assert await second == 2


async def test_each_project_has_its_own_figures() -> None:
    computation = Computation(takes=2.0)
    cache = by_cost(computation)

    assert await cache.get(1, LABELS, computation.run) == 1
    assert await cache.get(2, LABELS, computation.run) == 2
    assert await cache.get(1, LABELS, computation.run) == 1


async def test_projects_do_not_wait_for_each_others_figures() -> None:
    slow, quick = Computation(is_slow=True), Computation()
    cache = by_cost(slow)
    first = asyncio.create_task(cache.get(1, LABELS, slow.run))
    await slow.has_begun.wait()

    assert await cache.get(2, LABELS, quick.run) == 1
    slow.may_end.set()
    await first


async def test_a_curve_is_fresh_until_labels_are_a_percent_more_or_fewer() -> None:
    computation = Computation()
    cache = by_labels(computation)
    for labels, runs in ((1000, 1), (1010, 1), (1011, 2), (1001, 2), (1000, 3)):
        await cache.get(1, labels, computation.run)
        assert computation.runs == runs


async def test_a_curve_is_fresh_for_ten_minutes_at_most() -> None:
    computation = Computation()
    cache = by_labels(computation)
    for now, runs in ((0, 1), (599, 1), (600, 2)):
        computation.now = now
        assert await cache.get(1, LABELS, computation.run) == runs


async def test_concurrent_callers_share_a_measurement() -> None:
    computation = Computation(is_slow=True)
    cache = by_labels(computation)
    asking = [asyncio.create_task(cache.get(1, LABELS, computation.run)) for _ in range(5)]
    await computation.has_begun.wait()
    computation.may_end.set()

    assert await asyncio.gather(*asking) == [1] * 5
    assert computation.runs == 1


async def test_a_measurement_that_failed_is_made_again() -> None:
    async def fail() -> int:
        raise RuntimeError

    computation = Computation()
    cache = by_labels(computation)
    with pytest.raises(RuntimeError):
        await cache.get(1, LABELS, fail)

    assert await cache.get(1, LABELS, computation.run) == 1


async def test_one_curve_is_measured_at_a_time() -> None:
    slow, waiting = Computation(is_slow=True), Computation()
    cache = by_labels(slow)
    first = asyncio.create_task(cache.get(1, LABELS, slow.run))
    await slow.has_begun.wait()
    second = asyncio.create_task(cache.get(2, LABELS, waiting.run))
    await asyncio.sleep(0)

    assert waiting.runs == 0
    slow.may_end.set()
    assert await first == await second == 1


async def test_a_cached_curve_does_not_wait_for_another_project() -> None:
    computation, slow = Computation(), Computation(is_slow=True)
    cache = by_labels(computation)
    await cache.get(1, LABELS, computation.run)
    other = asyncio.create_task(cache.get(2, LABELS, slow.run))
    await slow.has_begun.wait()

    assert await cache.get(1, LABELS, computation.run) == 1
    slow.may_end.set()
    await other


async def test_the_oldest_of_more_than_256_curves_is_dropped() -> None:
    computation = Computation()
    cache = by_labels(computation)
    for project_id in range(257):
        await cache.get(project_id, LABELS, computation.run)
    await cache.get(256, LABELS, computation.run)
    assert computation.runs == 257

    await cache.get(0, LABELS, computation.run)

    assert computation.runs == 258
