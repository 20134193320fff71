"""Uvicorn, sharing a socket fairly with other processes, and a stop that streams do not hold up."""

import asyncio
import contextlib
import errno
import socket
from collections.abc import Callable

import structlog
import uvicorn

_EXHAUSTED_SECONDS = 0.1
_PAUSE_SECONDS_PER_CONNECTION = 0.0001
_MOST_PAUSE_SECONDS = 0.002
_EXHAUSTED = frozenset({errno.EMFILE, errno.ENFILE, errno.ENOBUFS, errno.ENOMEM})

log = structlog.get_logger()


class Server(uvicorn.Server):
    """Serves on the sockets it is given; sets ``stopping`` before it waits for connections to end.

    It takes one connection at a time. Uvicorn's own loop takes all that wait at once: of several
    processes on one socket, whoever woke up first would have nearly all of the clients. With
    ``shares_sockets``, the more connections it has, the longer it leaves the next to others.

    The application's own end (its lifespan) comes only after the wait: too late for streams.
    """

    def __init__(
        self, config: uvicorn.Config, stopping: asyncio.Event, *, shares_sockets: bool = False
    ) -> None:
        super().__init__(config)
        self._stopping = stopping
        self._shares_sockets = shares_sockets
        self._accepted: set[asyncio.Task[object]] = set()

    async def startup(self, sockets: list[socket.socket] | None = None) -> None:
        """Start the application, then take connections."""
        await super().startup(sockets=[])
        for listener in [] if self.should_exit else sockets or []:
            listener.setblocking(False)
            self._listen(listener)

    async def shutdown(self, sockets: list[socket.socket] | None = None) -> None:
        """Tell what waits and streams to end, then stop as Uvicorn does."""
        self._stopping.set()
        for listener in sockets or []:
            asyncio.get_running_loop().remove_reader(listener)
        # What has been taken is served: it is among Uvicorn's connections from here on.
        await asyncio.gather(*self._accepted, return_exceptions=True)
        await super().shutdown(sockets)

    def _listen(self, listener: socket.socket) -> None:
        if not self._stopping.is_set():
            asyncio.get_running_loop().add_reader(listener, self._accept, listener)

    def _accept(self, listener: socket.socket) -> None:
        """Take one connection, unless another process has been faster."""
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
            pause = min(_PAUSE_SECONDS_PER_CONNECTION * open_here, _MOST_PAUSE_SECONDS)
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
