"""Plans to label, and the application behind a real server."""

import asyncio
import socket
import time
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass

import httpx
import pytest
import uvicorn
from fastapi import FastAPI

from app.processes.server import Server
from tests.annotation.conftest import Sessions, World
from tests.support.api import ADMIN_KEY


@pytest.fixture
def world(sessions: Sessions) -> World:
    return World(sessions)


async def wait_until(holds: Callable[[], bool], *, seconds: float = 20) -> None:
    deadline = time.monotonic() + seconds
    while not holds():
        assert time.monotonic() < deadline
        await asyncio.sleep(0.01)


async def give_label(client: httpx.AsyncClient, choice: str, seconds: float | None = None) -> str:
    """Claim one pair and answer it; the label's id."""
    (pair,) = (await client.get("/next-pairs")).json()["pairs"]
    label = {"assignment_id": pair["assignment_id"], "choice": choice, "seconds": seconds}
    answer = await client.post("/labels", json=label)
    assert answer.status_code == 201, answer.text
    (stored,) = answer.json()["labels"]
    label_id: str = stored["id"]
    return label_id


@dataclass(frozen=True)
class Serving:
    """A running server: its port, and its end."""

    server: Server
    task: "asyncio.Task[None]"
    port: int

    @property
    def address(self) -> str:
        return f"http://127.0.0.1:{self.port}"

    async def stop(self) -> None:
        self.server.should_exit = True
        await self.task


@asynccontextmanager
async def serving(app: FastAPI) -> AsyncIterator[Serving]:
    """The application, whose lifespan has begun, behind a server."""
    config = uvicorn.Config(app, lifespan="off", log_config=None, access_log=False)
    server = Server(config, app.state.stopping)
    listener = socket.create_server(("127.0.0.1", 0))
    port: int = listener.getsockname()[1]
    task = asyncio.create_task(server.serve(sockets=[listener]))
    await wait_until(lambda: server.started)
    running = Serving(server, task, port)
    try:
        yield running
    finally:
        await running.stop()


def client_at(running: Serving, key: str = ADMIN_KEY) -> httpx.AsyncClient:
    headers = {"Authorization": f"Bearer {key}"}
    return httpx.AsyncClient(base_url=running.address, headers=headers, timeout=20)
