"""A project's changes as server-sent events, for one client."""

import asyncio
import time
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping, Sequence
from typing import Final

from fastapi.sse import ServerSentEvent

from app.accounts.service import Principal
from app.insights.live import EventKind, Feed, Figures
from app.insights.schemas import Change, PendingCounts

CHECK_SECONDS: Final = 5.0
"""How long a key that was valid is not checked again. Without a check nothing is sent."""
_RECONNECT_MILLISECONDS: Final = 2000


class EventStream:
    """The events that one client gets from a feed: the newest of each kind, when it can take them.

    An admin gets every kind; an annotator gets plan and ledger, with the one count that
    ``GET /next-pairs`` shows too. An event's id holds the marks of what the client was sent:
    with it in ``Last-Event-ID``, a client that reconnects to any process gets what has changed
    since.
    """

    def __init__(
        self,
        feed: Feed,
        principal: Principal,
        is_key_valid: Callable[[], Awaitable[bool]],
        last_event_id: str | None,
        *,
        check_seconds: float = CHECK_SECONDS,
    ) -> None:
        self._feed = feed
        self._is_admin = principal.is_admin
        self._kinds = tuple(EventKind) if principal.is_admin else (EventKind.PLAN, EventKind.LEDGER)
        self._is_key_valid = is_key_valid
        self._check_seconds = check_seconds
        self._sent = dict(_parse(last_event_id, self._kinds) or feed.figures.marks)
        self._checked_at = time.monotonic()
        self._ended = asyncio.Event()

    def end(self) -> None:
        """Send nothing more: the key or session may not see this project any longer."""
        self._ended.set()

    async def events(self) -> AsyncIterator[ServerSentEvent]:
        """Events as the figures change, until the feed or the stream ends, or the key does."""
        yield ServerSentEvent(comment="watching", retry=_RECONNECT_MILLISECONDS)
        while not self._ended.is_set():
            has_ended = self._feed.has_ended
            for kind in self._kinds:
                # Read each time: the client may have taken a while for the event before.
                figures = self._feed.figures
                if self._sent[kind] != figures.marks[kind]:
                    if not await self._is_allowed():
                        return
                    self._sent[kind] = figures.marks[kind]
                    yield self._event(kind, figures)
            if has_ended:
                return
            if all(self._sent[kind] == self._feed.figures.marks[kind] for kind in self._kinds):
                await self._newer_or_ended()

    async def _newer_or_ended(self) -> None:
        waits = [asyncio.ensure_future(each) for each in (self._feed.newer(), self._ended.wait())]
        try:
            await asyncio.wait(waits, return_when=asyncio.FIRST_COMPLETED)
        finally:
            for each in waits:
                each.cancel()

    def _event(self, kind: EventKind, figures: Figures) -> ServerSentEvent:
        counts = figures.counts
        shown = counts if self._is_admin else PendingCounts(pending_prompts=counts.pending_prompts)
        return ServerSentEvent(
            event=kind.value,
            data=Change(counts=shown, ledger=figures.ledger),
            id=".".join(self._sent[kind] for kind in self._kinds),
        )

    async def _is_allowed(self) -> bool:
        now = time.monotonic()
        if now - self._checked_at > self._check_seconds:
            if not await self._is_key_valid():
                return False
            self._checked_at = now
        return True


def _parse(last_event_id: str | None, kinds: Sequence[EventKind]) -> Mapping[EventKind, str] | None:
    """The marks in the id of a client's last event; None if the id is not one of ours."""
    marks = (last_event_id or "").split(".")
    return dict(zip(kinds, marks, strict=True)) if len(marks) == len(kinds) else None
