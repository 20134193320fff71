"""Dear figures are computed once for many, and kept in proportion to what they cost."""

import asyncio
from dataclasses import dataclass, field

from app.insights.kept import KeptFigures


@dataclass
class Computation:
    """Counts its runs, each of which takes a set time on its own clock."""

    takes: float
    now: float = 100.0
    runs: int = 0
    has_begun: asyncio.Event = field(default_factory=asyncio.Event)
    may_end: asyncio.Event = field(default_factory=asyncio.Event)

    def clock(self) -> float:
        return self.now

    async def run(self) -> int:
        self.runs += 1
        run = self.runs
        self.has_begun.set()
        await self.may_end.wait()
        self.now += self.takes
        return run


async def test_figures_that_cost_little_are_computed_each_time() -> None:
    computation = Computation(takes=0.1)
    computation.may_end.set()
    kept = KeptFigures(computation.clock)

    assert [await kept.get(1, computation.run) for _ in range(3)] == [1, 2, 3]


async def test_dear_figures_are_kept_for_twenty_times_as_long_as_they_took() -> None:
    computation = Computation(takes=2.0)
    computation.may_end.set()
    kept = KeptFigures(computation.clock)

    assert await kept.get(1, computation.run) == 1
    computation.now += 39
    assert await kept.get(1, computation.run) == 1
    computation.now += 2
    assert await kept.get(1, computation.run) == 2


async def test_who_asks_while_figures_are_computed_gets_figures_begun_after_it_asked() -> None:
    computation = Computation(takes=0.01)
    kept = KeptFigures(computation.clock)

    first = asyncio.create_task(kept.get(1, computation.run))
    await computation.has_begun.wait()
    computation.now += 0.05
    others = [asyncio.create_task(kept.get(1, computation.run)) for _ in range(5)]
    await asyncio.sleep(0)
    computation.may_end.set()

    assert await first == 1
    assert await asyncio.gather(*others) == [2] * 5


async def test_who_goes_away_while_it_computes_leaves_the_others_theirs() -> None:
    computation = Computation(takes=2.0)
    kept = KeptFigures(computation.clock)

    first = asyncio.create_task(kept.get(1, computation.run))
    await computation.has_begun.wait()
    second = asyncio.create_task(kept.get(1, computation.run))
    first.cancel()
    computation.may_end.set()

    assert await second == 2


async def test_figures_of_one_key_are_not_those_of_another() -> None:
    computation = Computation(takes=2.0)
    computation.may_end.set()
    kept = KeptFigures(computation.clock)

    assert await kept.get(1, computation.run) == 1
    assert await kept.get(2, computation.run) == 2
    assert await kept.get(1, computation.run) == 1
