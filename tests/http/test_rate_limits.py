"""Too many requests get 429 with the time to come back; keys at work never suffer from guesses."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

import httpx
import pytest
from fastapi import FastAPI

from app.main import create_app
from app.settings import Settings
from tests.support.api import ADMIN_KEY, client_of


@asynccontextmanager
async def limited(settings: Settings, **limits: int) -> AsyncIterator[FastAPI]:
    application = create_app(settings.model_copy(update=limits))
    async with application.router.lifespan_context(application):
        yield application


def is_refused(answer: httpx.Response) -> bool:
    if answer.status_code != 429:
        return False
    assert answer.headers["content-type"] == "application/problem+json"
    assert 1 <= int(answer.headers["retry-after"]) <= 60
    assert answer.json()["type"].endswith("/too-many-requests")
    assert answer.headers["x-request-id"]
    return True


async def refusals(client: httpx.AsyncClient, count: int, path: str = "/projects") -> list[bool]:
    return [is_refused(await client.get(path)) for _ in range(count)]


@pytest.fixture
def ready(app: FastAPI, settings: Settings) -> Settings:
    """Settings over a database with the admin in it."""
    return settings


async def test_a_key_that_asks_too_often_is_refused_and_another_is_not(ready: Settings) -> None:
    async with (
        limited(ready, rate_limit_requests_per_minute=3) as app,
        client_of(app, ADMIN_KEY) as admin,
    ):
        # The first request is the one that shows that somebody has this key.
        assert await refusals(admin, 6) == 4 * [False] + 2 * [True]
        for path in ("/healthz", "/readyz", "/metrics"):
            assert await refusals(admin, 5, path) == 5 * [False]
        post = await admin.post("/prompts", content=b"never read", headers={})
        assert is_refused(post)
    async with (
        limited(ready, rate_limit_requests_per_minute=0) as app,
        client_of(app, ADMIN_KEY) as admin,
    ):
        assert await refusals(admin, 10) == 10 * [False]


async def test_guessed_keys_are_refused_and_keys_at_work_go_on(ready: Settings) -> None:
    async with (
        limited(ready, rate_limit_failures_per_minute=2) as app,
        client_of(app, ADMIN_KEY) as admin,
        client_of(app, None) as stranger,
    ):
        assert (await admin.get("/projects")).status_code == 200

        async def guess(number: int, path: str = "/projects") -> int:
            header = {"Authorization": f"Bearer guess-{number}"}
            answer = await stranger.get(path, headers=header)
            is_refused(answer)
            return answer.status_code

        assert [await guess(number) for number in range(5)] == [401, 401, 401, 429, 429]
        assert [await guess(6, path) for path in ("/nothing", "/metrics")] == [429, 429]
        assert [await guess(6, path) for path in ("/healthz", "/readyz")] == [200, 200]
        assert (await admin.get("/projects")).status_code == 200
        assert (await stranger.get("/projects")).status_code == 401  # without a key: no guess


async def test_a_path_that_asks_for_no_key_makes_no_guess_a_known_key(ready: Settings) -> None:
    async with (
        limited(ready, rate_limit_failures_per_minute=2) as app,
        client_of(app, "a-guess") as stranger,
    ):
        assert (await stranger.get("/nothing")).status_code == 404
        assert (await stranger.get("/openapi.json")).status_code == 200
        statuses = [(await stranger.get("/projects")).status_code for _ in range(5)]
        assert statuses == [401, 401, 401, 429, 429]


async def test_a_key_that_was_taken_away_is_a_guess_from_then_on(ready: Settings) -> None:
    async with (
        limited(ready, rate_limit_failures_per_minute=1) as app,
        client_of(app, ADMIN_KEY) as admin,
    ):
        made: Any = (await admin.post("/annotators", json={"name": "ana"})).json()
        async with client_of(app, made["key"]) as ana:
            assert (await ana.get("/labels")).status_code == 200
            assert (await admin.post("/annotators/ana/key")).status_code == 201
            statuses = [(await ana.get("/labels")).status_code for _ in range(3)]
            assert statuses == [401, 401, 429]


async def test_every_operation_that_asks_for_a_key_documents_the_refusal(
    client: httpx.AsyncClient,
) -> None:
    paths = (await client.get("/openapi.json")).json()["paths"]
    for path, operations in paths.items():
        for method, operation in operations.items():
            # Who is signed in may be asked without a key, but one that is sent along counts.
            asks = "401" in operation["responses"] or (method, path) == ("get", "/session")
            assert ("429" in operation["responses"]) == asks, (method, path)
            if asks:
                assert "Retry-After" in operation["responses"]["429"]["headers"]
