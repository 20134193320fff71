"""The answer that streams an export."""

import asyncio
from collections.abc import AsyncGenerator, AsyncIterator, Callable
from contextlib import aclosing, asynccontextmanager

from fastapi import Response
from sqlalchemy.ext.asyncio import AsyncSession
from starlette.types import Receive, Scope, Send

from app.exports.service import Export, Snapshot, begin_export
from app.storage.sessions import Sessions

Stream = Callable[[AsyncSession, Export, Snapshot], AsyncGenerator[bytes, None]]
"""Writes what is sent: pieces, some of them empty."""


class Download(Response):
    """A file made while it is sent, from a database session of its own.

    The session lives exactly as long as the answer, whichever way that ends. What fails before the
    first byte gets an answer of its own; what fails later breaks the connection, so that half a
    file never looks like a whole one.
    """

    def __init__(
        self, sessions: Sessions, export: Export, stream: Stream, *, media_type: str, filename: str
    ) -> None:
        super().__init__(
            media_type=media_type,
            headers={
                "Content-Disposition": f'attachment; filename="{filename}"',
                "Cache-Control": "no-store",
            },
        )
        del self.headers["content-length"]
        self._sessions = sessions
        self._export = export
        self._stream = stream

    async def __call__(self, _: Scope, receive: Receive, send: Send) -> None:
        """Open the session, send the file, close the session."""
        async with self._sessions() as session:
            snapshot = await begin_export(session, self._export)
            self.headers["X-Pending-Prompts"] = str(snapshot.pending_prompts)
            pieces = self._stream(session, self._export, snapshot)
            async with aclosing(pieces), _watch_for_disconnect(receive) as is_disconnected:
                first = await anext(pieces)
                await send(self._start())
                await send(_body(first, more=True))
                async for piece in pieces:
                    if is_disconnected():
                        return
                    if piece:
                        await send(_body(piece, more=True))
                await send(_body(b"", more=False))

    def _start(self) -> dict[str, object]:
        return {
            "type": "http.response.start",
            "status": self.status_code,
            "headers": self.raw_headers,
        }


def _body(piece: bytes, *, more: bool) -> dict[str, object]:
    return {"type": "http.response.body", "body": piece, "more_body": more}


@asynccontextmanager
async def _watch_for_disconnect(receive: Receive) -> AsyncIterator[Callable[[], bool]]:
    """Tells whether the client has gone.

    It is asked between two pieces. Starlette's own streams are cancelled instead, at any point:
    a database connection that is in the middle of a fetch does not come back well from that.
    """

    async def disconnected() -> None:
        while (await receive())["type"] != "http.disconnect":
            pass

    watcher = asyncio.create_task(disconnected())
    try:
        yield watcher.done
    finally:
        watcher.cancel()
