"""Make the next item while the one before is used."""

import asyncio
from collections.abc import AsyncGenerator, AsyncIterator
from typing import TypeVar

T = TypeVar("T")


async def read_ahead(items: AsyncIterator[T]) -> AsyncGenerator[T]:
    """The same items, each of which is made while the one before is used.

    What goes wrong in making an item is raised after the items before it have been used.
    """

    async def coming() -> tuple[T] | None:
        async for item in items:
            return (item,)
        return None

    next_item = asyncio.create_task(coming())
    try:
        while (made := await next_item) is not None:
            next_item = asyncio.create_task(coming())
            yield made[0]
    finally:
        next_item.cancel()
        await asyncio.gather(next_item, return_exceptions=True)
