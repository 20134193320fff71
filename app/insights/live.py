"""The live figures of the projects that are being watched, read once for all their event streams.

A stream has no queue: when it can send, it takes the newest figures. A client that reads nothing
therefore costs no more than its socket's buffer, and a hundred clients cost the database as much
as one.
"""

import asyncio
from collections.abc import AsyncIterator, Callable, Mapping
from contextlib import ExitStack, asynccontextmanager, suppress
from dataclasses import dataclass
from enum import StrEnum
from hashlib import blake2b
from typing import Final, Self

import structlog
from sqlalchemy.exc import OperationalError
from sqlalchemy.exc import TimeoutError as PoolTimeout
from sqlalchemy.ext.asyncio import AsyncSession

from app.errors import UnknownProject
from app.projects import service as projects
from app.projects.schemas import Counts, LedgerView
from app.projects.views import counts_view, ledger_view
from app.storage.background import BackgroundTasks
from app.storage.notifications import Channel, Listener, Subscription
from app.storage.sessions import Sessions

_CHANNELS: Final = (
    Channel.TEXTS_PENDING,
    Channel.PROMPTS_READY,
    Channel.PLAN_CHANGED,
    Channel.LEDGER_CHANGED,
)
_PACE_SECONDS: Final = 1.0
"""The time between two reads of a project's figures: at most one event of a kind in that time."""

log = structlog.get_logger()


class EventKind(StrEnum):
    """The kinds of events, in the order in which they are sent."""

    LABEL = "label"
    PROMPTS = "prompts"
    PLAN = "plan"
    LEDGER = "ledger"


_FIGURES_OF_KIND: Final[dict[EventKind, Callable[[Counts, LedgerView], object]]] = {
    EventKind.LABEL: lambda counts, _: (counts.labels, counts.surplus_labels),
    EventKind.PROMPTS: lambda counts, _: (
        counts.prompts,
        counts.pending_prompts,
        counts.failed_prompts,
    ),
    EventKind.PLAN: lambda counts, _: (counts.open_pairs, counts.held_assignments),
    EventKind.LEDGER: lambda _, ledger: tuple(ledger.model_dump().values()),
}


@dataclass(frozen=True, slots=True)
class Figures:
    """A project's counts and ledger at one moment.

    ``marks`` are digests, one a kind of event, of the figures that the kind reports. They are the
    same in every process, and reveal nothing about the figures.
    """

    project_id: int
    counts: Counts
    ledger: LedgerView
    marks: Mapping[EventKind, str]


async def read_figures(session: AsyncSession, project_name: str) -> Figures:
    """The figures of a project now.

    Raises:
        UnknownProject: no project has that name.
    """
    row = await projects.get_project(session, project_name)
    counts, ledger = counts_view(row), ledger_view(row.project, row.lapsed_reserved)
    secret = str(row.project.seed).encode()
    marks = {
        kind: blake2b(repr(select(counts, ledger)).encode(), key=secret, digest_size=6).hexdigest()
        for kind, select in _FIGURES_OF_KIND.items()
    }
    return Figures(row.project.id, counts, ledger, marks)


class Feed:
    """The newest figures of one project, and a wait for newer ones."""

    def __init__(self, figures: Figures, subscription: ExitStack) -> None:
        self.figures = figures
        self.has_ended = False
        self.watchers = 0
        self.task: asyncio.Task[None] | None = None
        self.subscription = subscription
        self._turn = asyncio.Event()

    def publish(self, figures: Figures) -> None:
        """Replace the figures, and wake the waiting streams if they differ."""
        differ = figures.marks != self.figures.marks
        self.figures = figures
        if differ:
            self._wake()

    def end(self) -> None:
        """No newer figures will come."""
        self.has_ended = True
        self._wake()

    async def newer(self) -> None:
        """Wait until the figures differ from what they are now, or the feed ends."""
        if not self.has_ended:
            await self._turn.wait()

    def _wake(self) -> None:
        self._turn.set()
        self._turn = asyncio.Event()


class LiveFigures(BackgroundTasks):
    """The feeds of this process, one a watched project. All end when ``stopping`` is set."""

    def __init__(
        self,
        sessions: Sessions,
        listener: Listener,
        stopping: asyncio.Event,
        *,
        poll_seconds: float,
    ) -> None:
        super().__init__()
        self._sessions = sessions
        self._listener = listener
        self._stopping = stopping
        self._poll_seconds = poll_seconds
        self._feeds: dict[int, Feed] = {}
        self._joining = asyncio.Lock()

    async def __aenter__(self) -> Self:
        self.start(self._end_when_stopping())
        return self

    @property
    def watchers(self) -> int:
        """How many streams are open in this process."""
        return sum(feed.watchers for feed in self._feeds.values())

    @asynccontextmanager
    async def watch(self, project_id: int, project_name: str) -> AsyncIterator[Feed]:
        """The feed of a project, which publishes every change from now on.

        Raises:
            UnknownProject: it has been deleted.
        """
        feed = await self._join(project_id, project_name)
        try:
            yield feed
        finally:
            self._leave(project_id, feed)

    async def _join(self, project_id: int, project_name: str) -> Feed:
        async with self._joining:
            feed = self._feeds.get(project_id)
            if feed is None:
                feed = self._feeds[project_id] = await self._open(project_id, project_name)
            feed.watchers += 1
            return feed

    async def _open(self, project_id: int, project_name: str) -> Feed:
        with ExitStack() as stack:
            # Subscribe before reading, so that no change in between is missed.
            changes = stack.enter_context(self._listener.subscribe(*_CHANNELS))
            figures = await self._read(project_id, project_name)
            feed = Feed(figures, stack.pop_all())
        if self._stopping.is_set():
            feed.end()
        feed.task = self.start(self._follow(feed, changes, project_id, project_name))
        return feed

    def _leave(self, project_id: int, feed: Feed) -> None:
        feed.watchers -= 1
        if feed.watchers == 0:
            if self._feeds.get(project_id) is feed:
                del self._feeds[project_id]
            assert feed.task is not None
            feed.task.cancel()
            feed.subscription.close()

    async def _follow(
        self, feed: Feed, changes: Subscription, project_id: int, project_name: str
    ) -> None:
        try:
            while not feed.has_ended:
                await self._wait_for_change(changes, str(project_id))
                with suppress(OperationalError, PoolTimeout):  # the next read may succeed
                    feed.publish(await self._read(project_id, project_name))
                await asyncio.sleep(_PACE_SECONDS)
        except UnknownProject:
            log.info("watched project deleted", project=project_name)
        finally:
            # However it ended: no stream waits for ever, and the next one gets a new feed.
            feed.end()
            if self._feeds.get(project_id) is feed:
                del self._feeds[project_id]

    async def _wait_for_change(self, changes: Subscription, payload: str) -> None:
        """Wait for a notification about the project, or until the poll is due; take all others."""
        loop = asyncio.get_running_loop()
        deadline = loop.time() + self._poll_seconds
        while True:
            notification = await changes.get(max(0.0, deadline - loop.time()))
            if notification is None:
                return
            if notification.payload == payload:
                deadline = loop.time()

    async def _read(self, project_id: int, project_name: str) -> Figures:
        async with self._sessions() as session:
            figures = await read_figures(session, project_name)
        if figures.project_id != project_id:
            raise UnknownProject("another project has that name now")
        return figures

    async def _end_when_stopping(self) -> None:
        await self._stopping.wait()
        for feed in self._feeds.values():
            feed.end()
