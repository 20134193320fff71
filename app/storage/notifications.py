"""Postgres NOTIFY: work is announced when the transaction that made it commits.

A notification is a hint. Whoever waits for one looks at the tables when it comes, and also looks
from time to time when none comes.
"""

import asyncio
import contextlib
from collections.abc import Iterator
from dataclasses import dataclass
from enum import StrEnum
from types import TracebackType
from typing import Self

import psycopg
import structlog
from psycopg import sql
from sqlalchemy import func, select
from sqlalchemy.ext.asyncio import AsyncSession

from app.storage.engine import raw_dsn

_RECONNECT_SECONDS = 1.0
_QUEUE_LENGTH = 1000

log = structlog.get_logger()


class Channel(StrEnum):
    """What can be announced. The payload is a project's number, unless said otherwise."""

    TEXTS_PENDING = "texts_pending"
    PROMPTS_READY = "prompts_ready"
    PLAN_LOW = "plan_low"
    PLAN_CHANGED = "plan_changed"
    LEDGER_CHANGED = "ledger_changed"
    """Labels, assignments or the ledger changed."""
    SIMILAR_ASKED = "similar_asked"
    """JSON: who asks, which prompt, how many."""
    SIMILAR_ANSWERED = "similar_answered"
    """JSON: who asked, and the prompts found."""


@dataclass(frozen=True, slots=True)
class Notification:
    """One announcement."""

    channel: Channel
    payload: str


async def notify(session: AsyncSession, channel: Channel, payload: str = "") -> None:
    """Announce something, when (and only if) the session's transaction commits."""
    await session.execute(select(func.pg_notify(channel, payload)))


class Subscription:
    """What one waiter has been told and has not read yet."""

    def __init__(self, channels: frozenset[Channel]) -> None:
        self.channels = channels
        self._queue: asyncio.Queue[Notification] = asyncio.Queue(_QUEUE_LENGTH)

    def deliver(self, notification: Notification) -> None:
        """Hand a notification over; a waiter that lags by a thousand is dropped to its poll."""
        with contextlib.suppress(asyncio.QueueFull):
            self._queue.put_nowait(notification)

    async def get(self, timeout_seconds: float) -> Notification | None:
        """The next notification, or None when none came in time."""
        try:
            async with asyncio.timeout(timeout_seconds):
                return await self._queue.get()
        except TimeoutError:
            return None


class Listener:
    """The one listening connection of a process; it reconnects by itself."""

    def __init__(self, url: str) -> None:
        self._dsn = raw_dsn(url)
        self._subscriptions: set[Subscription] = set()
        self._task: asyncio.Task[None] | None = None

    async def __aenter__(self) -> Self:
        ready = asyncio.Event()
        self._task = asyncio.create_task(self._listen_for_ever(ready))
        await ready.wait()
        return self

    async def __aexit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        assert self._task is not None
        self._task.cancel()
        with contextlib.suppress(asyncio.CancelledError):
            await self._task

    @contextlib.contextmanager
    def subscribe(self, *channels: Channel) -> Iterator[Subscription]:
        """Collect what is announced on these channels from now on."""
        subscription = Subscription(frozenset(channels))
        self._subscriptions.add(subscription)
        try:
            yield subscription
        finally:
            self._subscriptions.discard(subscription)

    async def _listen_for_ever(self, ready: asyncio.Event) -> None:
        while True:
            try:
                await self._listen(ready)
            except psycopg.OperationalError as error:
                log.warning("listening connection lost", error=str(error).strip())
            ready.set()  # without a connection, waiters fall back to their poll
            await asyncio.sleep(_RECONNECT_SECONDS)

    async def _listen(self, ready: asyncio.Event) -> None:
        connection = await psycopg.AsyncConnection.connect(
            self._dsn, autocommit=True, application_name="annotation-budget listener"
        )
        async with connection:
            for channel in Channel:
                await connection.execute(sql.SQL("LISTEN {}").format(sql.Identifier(channel)))
            ready.set()
            async for received in connection.notifies():
                notification = Notification(Channel(received.channel), received.payload)
                for subscription in tuple(self._subscriptions):
                    if notification.channel in subscription.channels:
                        subscription.deliver(notification)
