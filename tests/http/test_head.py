"""HEAD is answered as GET is, without a body."""

import asyncio
import socket
from collections.abc import AsyncIterator

import httpx
import pytest
from fastapi import FastAPI

from app.cli.serve.api import server_config
from app.processes.server import Server
from app.settings import Settings

PATHS = ("/healthz", "/readyz", "/docs", "/docs/start.js", "/openapi.json")
DEADLINE_SECONDS = 60


@pytest.fixture
async def port(app: FastAPI, settings: Settings) -> AsyncIterator[int]:
    """The port of a real server of the application."""
    config = server_config(app, settings)
    config.lifespan = "off"  # the fixture `app` has begun it
    server = Server(config, app.state.stopping)
    with socket.create_server(("127.0.0.1", 0)) as listener:
        serving = asyncio.create_task(server.serve([listener]))
        yield listener.getsockname()[1]
        server.should_exit = True
        await serving


async def _answer(port: int, method: str, path: str) -> tuple[list[bytes], bytes]:
    """The head of the answer, line by line without what differs each time, and the body."""
    async with asyncio.timeout(DEADLINE_SECONDS):
        reader, writer = await asyncio.open_connection("127.0.0.1", port)
        writer.write(f"{method} {path} HTTP/1.1\r\nhost: x\r\nconnection: close\r\n\r\n".encode())
        head, _, body = (await reader.read()).partition(b"\r\n\r\n")
        writer.close()
    lines = head.split(b"\r\n")
    changing = (b"date:", b"x-request-id:")
    return sorted(line for line in lines if not line.lower().startswith(changing)), body


@pytest.mark.parametrize("path", PATHS)
async def test_head_is_get_without_a_body(port: int, path: str) -> None:
    asked, body = await _answer(port, "GET", path)
    assert body
    assert await _answer(port, "HEAD", path) == (asked, b"")
    assert b"HTTP/1.1 200 OK" in asked


async def test_what_changes_something_or_is_expensive_takes_no_head(
    client: httpx.AsyncClient,
) -> None:
    for path in ("/next-pairs", "/exports/dpo"):
        answer = await client.head(path)
        assert answer.status_code == 405
        assert answer.headers["allow"] == "GET"


async def test_head_is_no_operation_of_its_own(anonymous: httpx.AsyncClient) -> None:
    document = (await anonymous.get("/openapi.json")).json()
    assert not any("head" in operations for operations in document["paths"].values())
