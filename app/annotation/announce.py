"""Tell watchers that a project's ledger has changed, without a NOTIFY in every claim and label.

Postgres lets one notifying transaction commit at a time; the hot path stays clear of that.
"""

import asyncio
import contextlib
from types import TracebackType
from typing import Self

import structlog
from sqlalchemy.exc import SQLAlchemyError

from app.storage.notifications import Channel, notify
from app.storage.sessions import Sessions

_SECONDS_BETWEEN = 0.5

log = structlog.get_logger()


class ChangeAnnouncer:
    """Announces each project that was noted, at most twice a second."""

    def __init__(self, sessions: Sessions) -> None:
        self._sessions = sessions
        self._noted: set[int] = set()
        self._is_noted = asyncio.Event()
        self._task: asyncio.Task[None] | None = None

    def note(self, project_id: int) -> None:
        """Something of this project may have changed."""
        self._noted.add(project_id)
        self._is_noted.set()

    async def __aenter__(self) -> Self:
        self._task = asyncio.create_task(self._announce_for_ever())
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

    async def _announce_for_ever(self) -> None:
        while True:
            await self._is_noted.wait()
            await asyncio.sleep(_SECONDS_BETWEEN)  # what was noted has been committed by then
            self._is_noted.clear()
            noted, self._noted = self._noted, set()
            try:
                async with self._sessions.begin() as session:
                    for project_id in sorted(noted):
                        await notify(session, Channel.LEDGER_CHANGED, str(project_id))
            except SQLAlchemyError as error:
                # Watchers look at the tables from time to time anyway.
                log.warning("change not announced", error=str(error).splitlines()[0])
