"""Uvicorn, and a stop that open streams do not hold up."""

import asyncio
import socket

import uvicorn


class Server(uvicorn.Server):
    """Sets ``stopping`` when it stops, before it waits for its connections to end.

    The application's own end (its lifespan) comes only after that wait: too late for streams.
    """

    def __init__(self, config: uvicorn.Config, stopping: asyncio.Event) -> None:
        super().__init__(config)
        self._stopping = stopping

    async def shutdown(self, sockets: list[socket.socket] | None = None) -> None:
        """Tell what waits and streams to end, then stop as Uvicorn does."""
        self._stopping.set()
        await super().shutdown(sockets)
