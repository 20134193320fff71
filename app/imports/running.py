"""An import while it runs: what it adds to is neither grouped nor planned before it ends."""

import asyncio
from typing import Final, Self

import structlog
from sqlalchemy.exc import SQLAlchemyError
from sqlalchemy.ext.asyncio import AsyncSession

from app.imports import queries
from app.imports.schemas import ImportReport
from app.storage.background import BackgroundTasks
from app.storage.notifications import Channel, notify
from app.storage.sessions import Sessions

LEASE_SECONDS: Final = 60.0
"""An import whose process was killed lapses after this time, by the database's clock."""
_SECONDS_BETWEEN_RENEWALS: Final = LEASE_SECONDS / 4

log = structlog.get_logger()


class ImportLapsed(Exception):
    """The import has lapsed although its process lives."""


class RunningImport(BackgroundTasks):
    """An import of a project, from entering this context to leaving it.

    It is renewed in the background, however long the client takes for its lines.
    """

    def __init__(self, sessions: Sessions, project_id: int) -> None:
        super().__init__()
        self._sessions = sessions
        self._project_id = project_id
        self.id = 0

    async def __aenter__(self) -> Self:
        await self.begin_again()
        self.start(self._keep_alive())
        return self

    async def __aexit__(self, *raised: object) -> None:
        await super().__aexit__(*raised)
        try:
            async with self._sessions.begin() as session:
                await queries.end(session, self.id)
                await notify(session, Channel.PROMPTS_READY, str(self._project_id))
        except SQLAlchemyError as error:
            log.warning("import not ended; it lapses", error=str(error).splitlines()[0])

    async def hold(self, session: AsyncSession) -> None:
        """Make sure that the import has not lapsed before the session's transaction ends.

        Call it last: the project's row comes first.

        Raises:
            ImportLapsed: it has, because its process did not come round to renewing it.
        """
        if not await queries.hold(session, self.id):
            raise ImportLapsed(f"import {self.id} has lapsed")

    async def note(self, report: ImportReport) -> None:
        """Write down how far the import is, for those who ask.

        In a transaction of its own: that of a batch must not keep the import from being renewed.
        """
        async with self._sessions.begin() as session:
            await queries.note_progress(
                session,
                self.id,
                created=report.created,
                extended=report.extended,
                unchanged=report.unchanged,
                rejected=report.rejected_count,
            )

    async def begin_again(self) -> None:
        """Go on under a new number, because the old one has lapsed.

        Raises:
            UnknownProject: the project has been deleted.
        """
        async with self._sessions.begin() as session:
            self.id = await queries.begin(session, self._project_id, LEASE_SECONDS)

    async def _keep_alive(self) -> None:
        while True:
            await asyncio.sleep(_SECONDS_BETWEEN_RENEWALS)
            try:
                async with self._sessions.begin() as session:
                    await queries.renew(session, self.id, LEASE_SECONDS)
            except SQLAlchemyError as error:
                log.warning("import not renewed", error=str(error).splitlines()[0])
