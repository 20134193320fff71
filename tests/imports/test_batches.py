import asyncio
from collections.abc import AsyncIterator
from contextlib import aclosing

import pytest

from app.imports.batches import read_ahead


async def _numbers(made: list[int], *, fails_at: int | None = None) -> AsyncIterator[int]:
    for number in range(4):
        if number == fails_at:
            raise ValueError("cannot be made")
        made.append(number)
        yield number


async def test_items_come_in_their_order() -> None:
    assert [number async for number in read_ahead(_numbers([]))] == [0, 1, 2, 3]


async def test_the_next_item_is_made_while_one_is_used_and_no_more() -> None:
    made: list[int] = []
    async with aclosing(read_ahead(_numbers(made))) as ahead:
        async for number in ahead:
            # Time enough for all that could be made to be made.
            for _ in range(20):
                await asyncio.sleep(0)
            assert made == list(range(min(number + 2, 4)))


async def test_what_goes_wrong_is_told_after_the_items_before_it() -> None:
    ahead = read_ahead(_numbers([], fails_at=2))
    assert [await anext(ahead), await anext(ahead)] == [0, 1]
    with pytest.raises(ValueError, match="cannot be made"):
        await anext(ahead)


async def test_who_stops_ends_what_is_being_made() -> None:
    ended = asyncio.Event()

    async def stuck() -> AsyncIterator[int]:
        yield 0
        try:
            await asyncio.Event().wait()
        finally:
            ended.set()

    async with aclosing(read_ahead(stuck())) as ahead:
        assert await anext(ahead) == 0
        for _ in range(20):
            await asyncio.sleep(0)
        assert not ended.is_set()
    assert ended.is_set()
