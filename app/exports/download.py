"""The response that streams an export."""

import asyncio
from collections.abc import AsyncGenerator, AsyncIterator, Callable
from contextlib import aclosing, asynccontextmanager

import structlog
from fastapi import Request, Response
from sqlalchemy.ext.asyncio import AsyncSession
from starlette.types import Receive, Scope, Send

from app.errors import Unavailable
from app.exports.service import Export, Snapshot, begin_export
from app.storage.sessions import Sessions

_FULL = "as many downloads as may run at once are under way"
_RETRY_SECONDS = 10

log = structlog.get_logger()

Stream = Callable[[AsyncSession, Export, Snapshot], AsyncGenerator[bytes, None]]
"""Yields the bytes of the file in pieces, some of them empty."""


def refuse_if_full(slots: asyncio.Semaphore) -> None:
    """Refuse a download when as many as may run at once are under way.

    Raises:
        Unavailable: they are.
    """
    if slots.locked():
        raise Unavailable(_FULL, retry_after=_RETRY_SECONDS)


class Download(Response):
    """A file that is made while it is sent, from a database session of its own.

    The session lives exactly as long as the response. An error before the first byte gets an error
    response; a later one breaks the connection, so that half a file never looks complete. The
    number of concurrent downloads is limited, so that connections are left for other requests, and
    a download whose client reads nothing is cut off.
    """

    stalled_seconds = 60.0

    def __init__(
        self, request: Request, export: Export, stream: Stream, *, media_type: str, filename: str
    ) -> None:
        super().__init__(
            media_type=media_type,
            headers={
                "Content-Disposition": f'attachment; filename="{filename}"',
                "Cache-Control": "no-store",
            },
        )
        del self.headers["content-length"]
        self._sessions: Sessions = request.app.state.sessions
        self._slots: asyncio.Semaphore = request.app.state.download_slots
        self._export = export
        self._stream = stream

    async def __call__(self, _: Scope, receive: Receive, send: Send) -> None:
        """Open the session, send the file, close the session.

        Raises:
            Unavailable: too many downloads are under way.
        """
        refuse_if_full(self._slots)
        async with self._slots, self._sessions() as session:
            await self._send_from(session, receive, send)

    async def _send_from(self, session: AsyncSession, receive: Receive, send: Send) -> None:
        snapshot = await begin_export(session, self._export)
        self.headers["X-Pending-Prompts"] = str(snapshot.pending_prompts)
        self.headers["X-Prompts-With-Tools-Left-Out"] = str(snapshot.tools.prompts_left_out)
        pieces = self._stream(session, self._export, snapshot)
        async with aclosing(pieces), _watch_for_disconnect(receive) as is_disconnected:
            first = await anext(pieces)
            await send(self._start())
            try:
                await self._send(send, first, more=True)
                async for piece in pieces:
                    if is_disconnected():
                        return
                    if piece:
                        await self._send(send, piece, more=True)
                await self._send(send, b"", more=False)
            except TimeoutError:
                # Returning before the end of the response breaks the connection.
                log.warning(
                    "download cut off: the client does not read", file=self._export.filename
                )

    async def _send(self, send: Send, piece: bytes, *, more: bool) -> None:
        async with asyncio.timeout(self.stalled_seconds):
            await send({"type": "http.response.body", "body": piece, "more_body": more})

    def _start(self) -> dict[str, object]:
        return {
            "type": "http.response.start",
            "status": self.status_code,
            "headers": self.raw_headers,
        }


@asynccontextmanager
async def _watch_for_disconnect(receive: Receive) -> AsyncIterator[Callable[[], bool]]:
    """Tells whether the client has disconnected; to be asked between two pieces.

    Starlette cancels its own streams instead, at any point, which would leave a database connection
    unusable in the middle of a fetch.
    """

    async def disconnected() -> None:
        while (await receive())["type"] != "http.disconnect":
            pass

    watcher = asyncio.create_task(disconnected())
    try:
        yield watcher.done
    finally:
        watcher.cancel()
