"""Invitations: a link that gives a key, once; and when somebody was last seen."""

import asyncio
from typing import Any

import httpx
import pytest
from fastapi import FastAPI
from sqlalchemy import text
from sqlalchemy.ext.asyncio import AsyncSession, async_sessionmaker

from tests.support.api import ADMIN_KEY, ClientFactory, client_of

Sessions = async_sessionmaker[AsyncSession]


@pytest.fixture
async def invited(client: httpx.AsyncClient) -> dict[str, Any]:
    """The answer to adding ana by an invitation."""
    made = await client.post("/annotators", json={"name": "ana", "invite": True})
    assert made.status_code == 201, made.text
    answer: dict[str, Any] = made.json()
    return answer


async def accept(app: FastAPI, invitation: str) -> httpx.Response:
    async with client_of(app, None) as browser:
        return await browser.post("/session", json={"invitation": invitation})


async def works(app: FastAPI, key: str) -> bool:
    async with client_of(app, key) as holder:
        return (await holder.get("/labels")).status_code == 200


async def test_an_invitation_is_exchanged_for_a_key_and_a_session(
    app: FastAPI, client: httpx.AsyncClient, invited: dict[str, Any]
) -> None:
    assert set(invited) == {"id", "name", "role", "projects", "invitation", "expires_at"}
    listed = (await client.get("/annotators")).json()["annotators"][-1]
    assert listed["invited_until"] == invited["expires_at"]
    async with client_of(app, None) as browser:
        answer = await browser.post("/session", json={"invitation": invited["invitation"]})
        assert answer.status_code == 201
        assert answer.headers["cache-control"] == "no-store"
        body = answer.json()
        assert (body["name"], body["role"]) == ("ana", "annotator")
        session = (await browser.get("/session")).json()
        assert session == {each: body[each] for each in ("name", "role", "csrf_token")}
    assert await works(app, body["key"])
    listed = (await client.get("/annotators")).json()["annotators"][-1]
    assert listed["invited_until"] is None


async def test_it_is_good_once_also_at_once(app: FastAPI, invited: dict[str, Any]) -> None:
    answers = await asyncio.gather(*(accept(app, invited["invitation"]) for _ in range(5)))
    assert sorted(answer.status_code for answer in answers) == [201, 401, 401, 401, 401]
    (key,) = (answer.json()["key"] for answer in answers if answer.status_code == 201)
    assert await works(app, key)


async def test_a_key_works_until_its_holder_takes_another(
    app: FastAPI, client: httpx.AsyncClient
) -> None:
    old = (await client.post("/annotators", json={"name": "ana"})).json()["key"]
    first = (await client.post("/annotators/ana/invitation")).json()["invitation"]
    second = (await client.post("/annotators/ana/invitation")).json()["invitation"]
    assert await works(app, old)
    assert (await accept(app, first)).status_code == 401  # the second took its place
    new = (await accept(app, second)).json()["key"]
    assert not await works(app, old)
    assert await works(app, new)


@pytest.mark.parametrize("end", ["expiry", "new key", "deactivation", "erasure"])
async def test_what_ends_an_invitation(
    app: FastAPI, client: httpx.AsyncClient, sessions: Sessions, invited: dict[str, Any], end: str
) -> None:
    if end == "expiry":
        async with sessions.begin() as session:
            await session.execute(text("UPDATE invitations SET expires_at = now()"))
    elif end == "new key":
        await client.post("/annotators/ana/key")
    elif end == "deactivation":
        await client.delete("/annotators/ana")
        await client.patch("/annotators/ana", json={"active": True})
    else:
        await client.delete("/annotators/ana?erase=true")
    assert (await accept(app, invited["invitation"])).status_code == 401


async def test_nobody_inactive_or_unknown_is_invited(client: httpx.AsyncClient) -> None:
    await client.post("/annotators", json={"name": "ana"})
    await client.delete("/annotators/ana")
    refused = await client.post("/annotators/ana/invitation")
    assert (refused.status_code, refused.json()["type"]) == (409, "/problems/annotator-inactive")
    assert (await client.post("/annotators/nobody/invitation")).status_code == 404


@pytest.mark.parametrize(
    "sent", [{}, {"key": ADMIN_KEY, "invitation": "inv_x"}, {"invitation": ""}, {"invitation": 7}]
)
async def test_one_of_key_and_invitation_is_sent(
    anonymous: httpx.AsyncClient, sent: dict[str, Any]
) -> None:
    assert (await anonymous.post("/session", json=sent)).status_code == 422


async def test_only_hashes_are_stored(sessions: Sessions, invited: dict[str, Any]) -> None:
    async with sessions() as session:
        rows = (await session.execute(text("SELECT invitations::text FROM invitations"))).all()
    assert len(rows) == 1
    assert invited["invitation"] not in str(rows)


async def test_annotators_do_not_invite(annotator_client: ClientFactory) -> None:
    ana = await annotator_client("ana")
    assert (await ana.post("/annotators/ana/invitation")).status_code == 403


async def test_when_somebody_was_seen_is_noted_now_and_then(
    client: httpx.AsyncClient, annotator_client: ClientFactory, sessions: Sessions
) -> None:
    async def seen() -> Any:
        return (await client.get("/annotators")).json()["annotators"][-1]["seen_at"]

    ana = await annotator_client("ana")
    assert await seen() is None
    await ana.get("/labels")
    first = await seen()
    assert first is not None
    await ana.get("/labels")
    assert await seen() == first  # no write with every request
    async with sessions.begin() as session:
        await session.execute(text("UPDATE annotators SET seen_at = now() - interval '1 hour'"))
    await ana.get("/labels")
    assert await seen() > first


async def test_noting_it_waits_for_nobody(
    annotator_client: ClientFactory, sessions: Sessions
) -> None:
    ana = await annotator_client("ana")
    async with sessions.begin() as session:
        await session.execute(text("SELECT FROM annotators FOR UPDATE"))
        assert (await ana.get("/labels")).status_code == 200
