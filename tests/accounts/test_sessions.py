"""Browsers sign in and out; what ends a session, and what other sites may not do with one."""

from collections.abc import AsyncIterator
from contextlib import AsyncExitStack

import httpx
import pytest
from fastapi import FastAPI
from sqlalchemy import text
from sqlalchemy.ext.asyncio import AsyncSession, async_sessionmaker

from app.main import create_app
from app.settings import Settings
from tests.support.api import ADMIN_KEY, client_of

CSRF = "X-CSRF-Token"


async def sign_in(browser: httpx.AsyncClient, key: str = ADMIN_KEY) -> httpx.Response:
    """Begin a session; from then on the client sends its cookie, and the CSRF token."""
    answer = await browser.post("/session", json={"key": key})
    if answer.status_code == 201:
        browser.headers[CSRF] = answer.json()["csrf_token"]
    return answer


@pytest.fixture
async def browser(app: FastAPI) -> AsyncIterator[httpx.AsyncClient]:
    async with client_of(app, None) as opened:
        await sign_in(opened)
        yield opened


async def test_a_session_is_as_good_as_its_key(browser: httpx.AsyncClient) -> None:
    assert (await browser.get("/annotators")).status_code == 200
    made = await browser.post("/annotators", json={"name": "ana"})
    assert made.status_code == 201


async def test_the_cookie_is_for_this_site_and_no_script(anonymous: httpx.AsyncClient) -> None:
    answer = await sign_in(anonymous)
    assert answer.status_code == 201
    assert set(answer.json()) == {"name", "role", "csrf_token"}
    cookie = answer.headers["set-cookie"]
    assert cookie.startswith("ab_session_")
    for attribute in ("HttpOnly", "SameSite=strict", "Path=/;"):
        assert attribute in cookie
    assert "Secure" not in cookie
    assert f"Max-Age={30 * 24 * 3600}" in cookie


async def test_a_session_that_is_not_kept_ends_with_the_browser(
    anonymous: httpx.AsyncClient, session: AsyncSession
) -> None:
    answer = await anonymous.post("/session", json={"key": ADMIN_KEY, "keep": False})
    assert "Max-Age" not in answer.headers["set-cookie"]
    assert "expires" not in answer.headers["set-cookie"].lower()
    hours = await session.scalar(
        text("SELECT round(extract(epoch FROM expires_at - created_at) / 3600) FROM sessions")
    )
    assert hours == 24


async def test_a_wrong_key_and_an_inactive_one_are_told_alike(
    app: FastAPI, client: httpx.AsyncClient, anonymous: httpx.AsyncClient
) -> None:
    key = (await client.post("/annotators", json={"name": "ana"})).json()["key"]
    await client.patch("/annotators/ana", json={"active": False})
    inactive, wrong = await sign_in(anonymous, key), await sign_in(anonymous, "ab_wrong")
    assert inactive.status_code == wrong.status_code == 401
    assert inactive.json() == wrong.json()
    assert "set-cookie" not in wrong.headers


@pytest.mark.parametrize(
    "body", [{}, {"key": ""}, {"key": None}, {"key": 1}, {"key": "a" * 1001}, {"key": "a", "x": 1}]
)
async def test_a_sign_in_of_another_form_is_refused(
    anonymous: httpx.AsyncClient, body: dict[str, object]
) -> None:
    assert (await anonymous.post("/session", json=body)).status_code == 422


async def test_calls_need_the_token_that_only_our_pages_know(browser: httpx.AsyncClient) -> None:
    del browser.headers[CSRF]
    for method, path in [
        ("GET", "/next-pairs"),  # it reserves budget
        ("GET", "/projects"),
        ("POST", "/labels"),
        ("DELETE", "/session"),
    ]:
        answer = await browser.request(method, path)
        assert answer.status_code == 403, path
        assert answer.json()["type"].endswith("/csrf-token-missing")
    wrong = await browser.get("/projects", headers={CSRF: "0" * 64})
    assert wrong.status_code == 403


async def test_downloads_and_the_session_itself_need_no_token(browser: httpx.AsyncClient) -> None:
    token = browser.headers.pop(CSRF)
    assert (await browser.get("/exports/dpo")).status_code == 200
    found = await browser.get("/session")
    assert found.json() == {"name": "admin", "role": "admin", "csrf_token": token}
    assert found.headers["cache-control"] == "no-store"


async def test_nobody_is_signed_in_without_a_session(
    browser: httpx.AsyncClient, client: httpx.AsyncClient
) -> None:
    nobody = {"name": None, "role": None, "csrf_token": None}
    assert (await client.get("/session")).json() == nobody  # it has a key
    await browser.delete("/session")
    assert (await browser.get("/session")).json() == nobody


@pytest.mark.parametrize(
    "headers",
    [
        {"Origin": "https://evil.example"},
        {"Origin": "null"},
        {"Origin": "http://service.evil.example"},
        {"Sec-Fetch-Site": "cross-site"},
        {"Sec-Fetch-Site": "same-site"},
        {"Sec-Fetch-Site": "cross-site", "Origin": "http://service"},
    ],
)
async def test_another_site_may_not_use_a_session(
    browser: httpx.AsyncClient, headers: dict[str, str]
) -> None:
    for method, path in [("GET", "/projects"), ("GET", "/exports/dpo"), ("GET", "/session")]:
        answer = await browser.request(method, path, headers=headers)
        assert answer.status_code == 403, path
        assert answer.json()["type"].endswith("/foreign-request")
    signed_in = await browser.post("/session", json={"key": ADMIN_KEY}, headers=headers)
    assert signed_in.status_code == 403
    assert "set-cookie" not in signed_in.headers


@pytest.mark.parametrize(
    "headers",
    [{"Origin": "http://service"}, {"Sec-Fetch-Site": "same-origin"}, {"Sec-Fetch-Site": "none"}],
)
async def test_our_own_pages_may(browser: httpx.AsyncClient, headers: dict[str, str]) -> None:
    assert (await browser.get("/projects", headers=headers)).status_code == 200


async def test_a_key_goes_before_a_session_and_needs_no_token(
    browser: httpx.AsyncClient, client: httpx.AsyncClient
) -> None:
    del browser.headers[CSRF]
    key = (await client.post("/annotators", json={"name": "ana"})).json()["key"]
    as_ana = {"Authorization": f"Bearer {key}", "Sec-Fetch-Site": "cross-site"}
    assert (await browser.get("/stats", headers=as_ana)).status_code == 200
    assert (await browser.get("/annotators", headers=as_ana)).status_code == 403


@pytest.mark.parametrize("ended_by", ["sign-out", "new key", "deactivation", "removal"])
async def test_a_session_ends_at_once_on_every_replica(
    app: FastAPI, settings: Settings, client: httpx.AsyncClient, ended_by: str
) -> None:
    key = (await client.post("/annotators", json={"name": "ana"})).json()["key"]
    replica = create_app(settings)
    async with AsyncExitStack() as stack:
        await stack.enter_async_context(replica.router.lifespan_context(replica))
        browser = await stack.enter_async_context(client_of(app, None))
        elsewhere = await stack.enter_async_context(client_of(replica, None))
        await sign_in(browser, key)
        elsewhere.cookies, elsewhere.headers[CSRF] = browser.cookies, browser.headers[CSRF]
        assert (await elsewhere.get("/stats")).status_code == 200
        if ended_by == "sign-out":
            out = await browser.delete("/session")
            assert out.status_code == 204
            assert "Max-Age=0" in out.headers["set-cookie"]
        elif ended_by == "new key":
            await client.post("/annotators/ana/key")
        elif ended_by == "deactivation":
            await client.patch("/annotators/ana", json={"active": False})
        else:
            await client.delete("/annotators/ana")
        elsewhere.cookies.update(browser.cookies)
        assert (await elsewhere.get("/stats")).status_code == 401
        if ended_by == "deactivation":
            await client.patch("/annotators/ana", json={"active": True})


async def test_a_session_expires(
    browser: httpx.AsyncClient, sessions: async_sessionmaker[AsyncSession]
) -> None:
    async with sessions.begin() as session:
        await session.execute(text("UPDATE sessions SET expires_at = now()"))
    assert (await browser.get("/projects")).status_code == 401
    await sign_in(browser)
    async with sessions() as session:
        left = await session.scalar(text("SELECT count(*) FROM sessions"))
    assert left == 1


async def test_signing_in_again_ends_the_session_before(
    browser: httpx.AsyncClient, sessions: async_sessionmaker[AsyncSession]
) -> None:
    await sign_in(browser)
    assert (await browser.get("/projects")).status_code == 200
    async with sessions() as session:
        assert await session.scalar(text("SELECT count(*) FROM sessions")) == 1


async def test_only_hashes_are_stored(
    browser: httpx.AsyncClient, sessions: async_sessionmaker[AsyncSession]
) -> None:
    (token,) = browser.cookies.values()
    async with sessions() as session:
        stored = str((await session.execute(text("SELECT sessions.* FROM sessions"))).all())
    assert token not in stored
    assert browser.headers[CSRF] not in stored


async def test_installations_on_one_host_have_cookies_of_their_own(
    browser: httpx.AsyncClient,
) -> None:
    (name,) = browser.cookies
    browser.cookies.set("ab_session_00000000", "another's")
    assert (await browser.get("/projects")).status_code == 200
    browser.cookies.delete(name)
    assert (await browser.get("/projects")).status_code == 401


async def test_wrong_keys_are_throttled_by_address_but_sessions_go_on(
    browser: httpx.AsyncClient, anonymous: httpx.AsyncClient
) -> None:
    statuses = [(await sign_in(anonymous, f"ab_{number}")).status_code for number in range(40)]
    assert statuses[0] == 401
    assert statuses[-1] == 429
    assert (await browser.get("/projects")).status_code == 200


async def test_a_session_has_the_rate_limit_of_a_key(settings: Settings, app: FastAPI) -> None:
    limited = create_app(settings.model_copy(update={"rate_limit_requests_per_minute": 5}))
    async with limited.router.lifespan_context(limited), client_of(limited, None) as browser:
        await sign_in(browser)
        statuses = [(await browser.get("/projects")).status_code for _ in range(12)]
    assert statuses[0] == 200
    assert statuses[-1] == 429
