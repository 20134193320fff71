"""Uvicorn, changed to share a socket fairly with other processes and to stop despite streams."""

import asyncio
import contextlib
import errno
import socket
from collections.abc import Callable

import structlog
import uvicorn

_EXHAUSTED_SECONDS = 0.1
_PAUSE_SECONDS_PER_CONNECTION = 0.0001
_MAX_PAUSE_SECONDS = 0.002
_EXHAUSTED = frozenset({errno.EMFILE, errno.ENFILE, errno.ENOBUFS, errno.ENOMEM})

log = structlog.get_logger()


class Server(uvicorn.Server):
    """Serves on the sockets it is given, and sets ``stopping`` when it begins to stop.

    It accepts one connection at a time. Uvicorn accepts all that wait at once, so of several
    processes on one socket the first to wake would get nearly all clients. With
    ``shares_sockets``, a process with more connections leaves the next one longer to the others.

    ``stopping`` is set before the wait for open connections. The end of the application's lifespan
    comes after that wait, too late to end streams.
    """

    def __init__(
        self, config: uvicorn.Config, stopping: asyncio.Event, *, shares_sockets: bool = False
    ) -> None:
        super().__init__(config)
        self._stopping = stopping
        self._shares_sockets = shares_sockets
        self._accepted: set[asyncio.Task[object]] = set()

    async def startup(self, sockets: list[socket.socket] | None = None) -> None:
        """Start the application, then accept connections."""
        await super().startup(sockets=[])
        for listener in [] if self.should_exit else sockets or []:
            listener.setblocking(False)
            self._listen(listener)

    async def shutdown(self, sockets: list[socket.socket] | None = None) -> None:
        """Ask waiting requests and streams to end, then stop as Uvicorn does."""
        self._stopping.set()
        for listener in sockets or []:
            asyncio.get_running_loop().remove_reader(listener)
        # After this, Uvicorn knows every accepted connection, and serves it.
        await asyncio.gather(*self._accepted, return_exceptions=True)
        await super().shutdown(sockets)

    def _listen(self, listener: socket.socket) -> None:
        if not self._stopping.is_set():
            asyncio.get_running_loop().add_reader(listener, self._accept, listener)

    def _accept(self, listener: socket.socket) -> None:
        """Accept one connection, unless another process was faster."""
        loop = asyncio.get_running_loop()
        try:
            connection, _ = listener.accept()
        except (BlockingIOError, InterruptedError, ConnectionAbortedError):
            return
        except OSError as error:
            if error.errno not in _EXHAUSTED:
                raise
            log.error("no connection can be taken", reason=error.strerror)
            self._pause(listener, _EXHAUSTED_SECONDS)
            return
        task = loop.create_task(self._take(connection))
        self._accepted.add(task)
        task.add_done_callback(self._accepted.discard)
        if self._shares_sockets:
            open_here = len(self.server_state.connections) + len(self._accepted)
            pause = min(_PAUSE_SECONDS_PER_CONNECTION * open_here, _MAX_PAUSE_SECONDS)
            self._pause(listener, pause)

    def _pause(self, listener: socket.socket, seconds: float) -> None:
        loop = asyncio.get_running_loop()
        loop.remove_reader(listener)
        loop.call_later(seconds, self._listen, listener)

    async def _take(self, connection: socket.socket) -> None:
        connection.setblocking(False)
        with contextlib.suppress(OSError):  # the client has gone already
            await asyncio.get_running_loop().connect_accepted_socket(self._protocol, connection)

    def _protocol(self) -> asyncio.Protocol:
        make: Callable[..., asyncio.Protocol] = self.config.http_protocol_class
        return make(
            config=self.config, server_state=self.server_state, app_state=self.lifespan.state
        )
