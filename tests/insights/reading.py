"""Server-sent events, as a client reads them."""

import asyncio
import json
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from typing import Any

import httpx

_WAIT_SECONDS = 20


@dataclass(frozen=True)
class Event:
    """One event."""

    kind: str
    data: Any
    id: str


class Events:
    """The events of one answer, in their order."""

    def __init__(self, lines: AsyncIterator[str]) -> None:
        self._lines = lines

    async def next(self) -> Event | None:
        """The next event; None at the end of the answer."""
        async with asyncio.timeout(_WAIT_SECONDS):
            fields: dict[str, str] = {}
            async for line in self._lines:
                if not line and "event" in fields:
                    return Event(fields["event"], json.loads(fields["data"]), fields["id"])
                name, _, value = line.partition(": ")
                fields[name] = value
            return None

    async def first(self, kind: str, **counts: int) -> Event:
        """The first event of that kind that tells these counts."""
        while True:
            event = await self.next()
            assert event is not None
            if event.kind == kind and event.data["counts"].items() >= counts.items():
                return event

    async def until_opened(self) -> None:
        """Wait for the comment that opens the answer."""
        async with asyncio.timeout(_WAIT_SECONDS):
            async for line in self._lines:
                if line.startswith(":"):
                    return


@asynccontextmanager
async def watching(
    client: httpx.AsyncClient, path: str = "/events", **headers: str
) -> AsyncIterator[Events]:
    """Open an event stream; what changes from here on is told."""
    async with client.stream("GET", path, headers=headers) as answer:
        assert answer.status_code == 200
        assert answer.headers["content-type"].startswith("text/event-stream")
        lines = answer.aiter_lines()
        events = Events(lines)
        await events.until_opened()
        yield events
