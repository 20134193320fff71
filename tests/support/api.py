"""Clients of the application without a server between."""

from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from typing import Final

import httpx
from fastapi import FastAPI

ADMIN_KEY: Final = "an-admin-key-for-the-tests"
ClientFactory = Callable[..., Awaitable[httpx.AsyncClient]]
"""``await annotator_client("ana", projects=None)``: see the fixture of that name."""


@asynccontextmanager
async def client_of(app: FastAPI, key: str | None) -> AsyncIterator[httpx.AsyncClient]:
    """A client of the application with that key (None: without one)."""
    headers = {} if key is None else {"Authorization": f"Bearer {key}"}
    transport = httpx.ASGITransport(app, raise_app_exceptions=False)
    async with httpx.AsyncClient(
        transport=transport, base_url="http://service", headers=headers, timeout=60
    ) as client:
        yield client
