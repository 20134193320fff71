"""A project's changes as server-sent events."""

import time
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping, Sequence
from typing import Final

from fastapi.sse import ServerSentEvent

from app.accounts.service import Principal
from app.insights.figures import EventKind, Figures
from app.insights.live import Feed
from app.insights.schemas import Change, PendingCounts

CHECK_SECONDS: Final = 5.0
"""For so long a key that was good is taken to be good still; nothing is told unchecked."""
_RECONNECT_MILLISECONDS: Final = 2000


class EventStream:
    """What one client is told of a feed: of each kind what is newest, when the client takes it.

    An admin is told everything; an annotator of plan and ledger, with the count that
    ``GET /next-pairs`` shows too. An event's id holds what its client has been told: one that comes
    back with it in ``Last-Event-ID`` is told what has changed since, by whatever process.
    """

    def __init__(
        self,
        feed: Feed,
        principal: Principal,
        may_still: Callable[[], Awaitable[bool]],
        last_event_id: str | None,
        *,
        check_seconds: float = CHECK_SECONDS,
    ) -> None:
        self._feed = feed
        self._is_admin = principal.is_admin
        self._kinds = tuple(EventKind) if principal.is_admin else (EventKind.PLAN, EventKind.LEDGER)
        self._may_still = may_still
        self._check_seconds = check_seconds
        self._told = dict(_parse(last_event_id, self._kinds) or feed.figures.marks)
        self._checked_at = time.monotonic()

    async def events(self) -> AsyncIterator[ServerSentEvent]:
        """Events as figures change, until the feed ends or the key is no longer good."""
        yield ServerSentEvent(comment="watching", retry=_RECONNECT_MILLISECONDS)
        while True:
            has_ended = self._feed.has_ended
            for kind in self._kinds:
                # Looked at anew each time: the client may have taken a while for the one before.
                figures = self._feed.figures
                if self._told[kind] != figures.marks[kind]:
                    if not await self._is_allowed():
                        return
                    self._told[kind] = figures.marks[kind]
                    yield self._event(kind, figures)
            if has_ended:
                return
            if all(self._told[kind] == self._feed.figures.marks[kind] for kind in self._kinds):
                await self._feed.newer()

    def _event(self, kind: EventKind, figures: Figures) -> ServerSentEvent:
        counts = figures.counts
        shown = counts if self._is_admin else PendingCounts(pending_prompts=counts.pending_prompts)
        return ServerSentEvent(
            event=kind.value,
            data=Change(counts=shown, ledger=figures.ledger),
            id=".".join(self._told[kind] for kind in self._kinds),
        )

    async def _is_allowed(self) -> bool:
        now = time.monotonic()
        if now - self._checked_at > self._check_seconds:
            if not await self._may_still():
                return False
            self._checked_at = now
        return True


def _parse(last_event_id: str | None, kinds: Sequence[EventKind]) -> Mapping[EventKind, str] | None:
    """What a client was told, by the id of its last event; None where that is none of ours."""
    marks = (last_event_id or "").split(".")
    return dict(zip(kinds, marks, strict=True)) if len(marks) == len(kinds) else None
