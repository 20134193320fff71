"""Postgres NOTIFY: announce new work when the transaction that made it commits.

A notification is a hint. Whoever waits for one looks at the tables when it comes, and also from
time to time when none comes.
"""

import asyncio
import contextlib
from collections.abc import Iterator
from dataclasses import dataclass
from enum import StrEnum
from typing import Self

import psycopg
import structlog
from psycopg import sql
from sqlalchemy import func, select
from sqlalchemy.exc import SQLAlchemyError
from sqlalchemy.ext.asyncio import AsyncSession

from app.storage.background import BackgroundTasks
from app.storage.engine import raw_dsn
from app.storage.sessions import Sessions

_RECONNECT_SECONDS = 1.0
_SECONDS_BETWEEN_ANNOUNCEMENTS = 0.5
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
    ACCESS_CHANGED = "access_changed"
    """An annotator's number: its key, role, projects or activity changed, or a session ended."""
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
    """The notifications that one waiter has not read yet."""

    def __init__(self, channels: frozenset[Channel]) -> None:
        self.channels = channels
        self._queue: asyncio.Queue[Notification] = asyncio.Queue(_QUEUE_LENGTH)

    def deliver(self, notification: Notification) -> None:
        """Queue a notification. If the queue is full it is dropped: the waiter's poll will do."""
        with contextlib.suppress(asyncio.QueueFull):
            self._queue.put_nowait(notification)

    async def get(self, timeout_seconds: float) -> Notification | None:
        """The next notification, or None when none came in time."""
        try:
            async with asyncio.timeout(timeout_seconds):
                return await self._queue.get()
        except TimeoutError:
            return None


class Listener(BackgroundTasks):
    """The one listening connection of a process. It reconnects when it is lost."""

    def __init__(self, url: str) -> None:
        super().__init__()
        self._dsn = raw_dsn(url)
        self._subscriptions: set[Subscription] = set()

    async def __aenter__(self) -> Self:
        ready = asyncio.Event()
        self.start(self._keep_listening(ready))
        await ready.wait()
        return self

    @contextlib.contextmanager
    def subscribe(self, *channels: Channel) -> Iterator[Subscription]:
        """Collect the notifications of these channels from now on."""
        subscription = Subscription(frozenset(channels))
        self._subscriptions.add(subscription)
        try:
            yield subscription
        finally:
            self._subscriptions.discard(subscription)

    async def _keep_listening(self, ready: asyncio.Event) -> None:
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


class LedgerAnnouncer(BackgroundTasks):
    """Announces projects whose ledger has changed, each at most twice a second.

    Claims and labels do not notify by themselves: PostgreSQL lets only one notifying transaction
    commit at a time (``docs/decisions/0005``).
    """

    def __init__(self, sessions: Sessions) -> None:
        super().__init__()
        self._sessions = sessions
        self._noted: set[int] = set()
        self._is_noted = asyncio.Event()

    def note(self, project_id: int) -> None:
        """Announce soon that the project's ledger may have changed."""
        self._noted.add(project_id)
        self._is_noted.set()

    async def __aenter__(self) -> Self:
        self.start(self._keep_announcing())
        return self

    async def _keep_announcing(self) -> None:
        while True:
            await self._is_noted.wait()
            await asyncio.sleep(_SECONDS_BETWEEN_ANNOUNCEMENTS)  # time for what was noted to commit
            self._is_noted.clear()
            noted, self._noted = self._noted, set()
            try:
                async with self._sessions.begin() as session:
                    for project_id in sorted(noted):
                        await notify(session, Channel.LEDGER_CHANGED, str(project_id))
            except SQLAlchemyError as error:
                # Watchers look at the tables from time to time anyway.
                log.warning("change not announced", error=str(error).splitlines()[0])
