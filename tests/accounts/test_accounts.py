"""Keys, roles, and the annotators' calls."""

from typing import Any

import httpx
import pytest
from sqlalchemy import select

from app.accounts.service import ensure_admin
from app.storage.tables import Annotator
from tests.annotation.conftest import Sessions, World, world
from tests.support.api import ADMIN_KEY, ClientFactory, client_of

__all__ = ["world"]


async def make(client: httpx.AsyncClient, **body: Any) -> dict[str, Any]:
    answer = await client.post("/annotators", json=body)
    assert answer.status_code == 201, answer.text
    made: dict[str, Any] = answer.json()
    return made


@pytest.mark.parametrize(
    "header", [None, "", "Bearer", "Bearer ", "Basic abc", "Bearer wrong", "Bearer \x80\xff"]
)
async def test_without_a_right_key_every_call_is_a_401_in_problem_json(
    anonymous: httpx.AsyncClient, header: str | None
) -> None:
    headers = {} if header is None else {b"Authorization": header.encode("latin-1")}
    for path in ("/next-pairs", "/labels", "/projects", "/annotators", "/exports/dpo"):
        answer = await anonymous.get(path, headers=headers)
        assert answer.status_code == 401, path
        assert answer.headers["content-type"] == "application/problem+json"
        assert answer.headers["www-authenticate"] == "Bearer"
        assert answer.json()["type"].endswith("/unauthenticated")


async def test_an_annotators_key_is_too_low_for_what_admins_do(
    annotator_client: ClientFactory,
) -> None:
    ana = await annotator_client("ana")
    for method, path in (
        ("GET", "/annotators"),
        ("POST", "/annotators"),
        ("POST", "/projects"),
        ("PATCH", "/projects/default"),
        ("DELETE", "/projects/default"),
        ("GET", "/prompts"),
        ("GET", "/exports/dpo"),
    ):
        answer = await ana.request(method, path, json={"name": "x"} if method != "GET" else None)
        assert answer.status_code == 403, (method, path, answer.text)
        assert answer.json()["type"].endswith("/forbidden")


async def test_a_key_is_shown_once_and_kept_as_a_hash(
    client: httpx.AsyncClient, sessions: Sessions
) -> None:
    made = await make(client, name="ana", role="annotator")
    assert made["id"].startswith("ann_")
    listed = (await client.get("/annotators")).json()["annotators"]
    assert [entry["name"] for entry in listed] == ["admin", "ana"]
    assert all("key" not in entry for entry in listed)
    async with sessions() as session:
        stored = (await session.scalars(select(Annotator).where(Annotator.name == "ana"))).one()
    assert made["key"].encode() not in stored.key_hash


async def test_a_taken_name_is_a_conflict(client: httpx.AsyncClient) -> None:
    await make(client, name="ana")
    answer = await client.post("/annotators", json={"name": "ana"})
    assert answer.status_code == 409
    assert answer.json()["type"].endswith("/name-taken")


@pytest.mark.parametrize(
    ("body", "field"),
    [
        ({}, "name"),
        ({"name": ""}, "name"),
        ({"name": "a" * 65}, "name"),
        ({"name": "a/b"}, "name"),
        ({"name": " a"}, "name"),
        ({"name": 7}, "name"),
        ({"name": "ana", "role": "root"}, "role"),
        ({"name": "ana", "projects": ["none"]}, "projects"),
        ({"name": "ana", "projects": "default"}, "projects"),
        ({"name": "ana", "extra": 1}, "extra"),
    ],
)
async def test_a_wrong_annotator_names_the_field(
    client: httpx.AsyncClient, body: dict[str, Any], field: str
) -> None:
    answer = await client.post("/annotators", json=body)
    assert answer.status_code == 422
    assert field in answer.json()["errors"][0]["loc"]


async def test_the_projects_of_an_annotator_can_be_changed(client: httpx.AsyncClient) -> None:
    await client.post("/projects", json={"name": "one"})
    assert (await make(client, name="ana", projects=["one"]))["projects"] == ["one"]
    answer = await client.patch("/annotators/ana", json={"projects": ["one", "default"]})
    assert answer.json()["projects"] == ["default", "one"]
    assert (await client.patch("/annotators/ana", json={"projects": None})).json()[
        "projects"
    ] is None


async def test_a_new_key_replaces_the_old_one(client: httpx.AsyncClient, app: Any) -> None:
    old = (await make(client, name="ana"))["key"]
    new = (await client.post("/annotators/ana/key")).json()["key"]
    for key, status in ((old, 401), (new, 200)):
        async with client_of(app, key) as ana:
            assert (await ana.get("/next-pairs")).status_code == status


async def test_a_deactivated_annotator_is_out_at_once_and_blocks_nothing(
    client: httpx.AsyncClient, world: World, annotator_client: ClientFactory
) -> None:
    await world.add_pairs(1)
    ana, ben = await annotator_client("ana"), await annotator_client("ben")
    assert len((await ana.get("/next-pairs")).json()["pairs"]) == 1
    assert (await client.delete("/annotators/ana")).status_code == 204
    assert (await ana.get("/next-pairs")).status_code == 401
    project = (await client.get("/projects/default")).json()
    assert (project["ledger"]["reserved"], project["counts"]["held_assignments"]) == (0, 0)
    assert len((await ben.get("/next-pairs")).json()["pairs"]) == 1
    assert (await client.patch("/annotators/ana", json={"active": True})).json()["active"]
    assert (await ana.get("/next-pairs")).status_code == 200


async def test_the_last_active_admin_stays(client: httpx.AsyncClient) -> None:
    for change in ({"active": False}, {"role": "annotator"}):
        answer = await client.patch("/annotators/admin", json=change)
        assert answer.status_code == 409
        assert answer.json()["type"].endswith("/last-admin")
    assert (await client.delete("/annotators/admin")).status_code == 409
    await make(client, name="second", role="admin")
    assert (await client.delete("/annotators/admin")).status_code == 204


async def test_an_unknown_annotator_is_a_404(client: httpx.AsyncClient) -> None:
    assert (await client.patch("/annotators/none", json={})).status_code == 404
    assert (await client.post("/annotators/none/key")).status_code == 404
    assert (await client.delete("/annotators/none")).status_code == 404


async def test_the_admin_is_made_once_and_takes_the_key_it_is_given(sessions: Sessions) -> None:
    async def ensure(key: str | None) -> str | None:
        async with sessions.begin() as session:
            return await ensure_admin(session, key)

    fresh = await ensure(None)
    assert fresh is not None
    assert await ensure(None) is None
    assert await ensure(fresh) is None
    assert await ensure(ADMIN_KEY) == ADMIN_KEY
    assert await ensure(ADMIN_KEY) is None


async def test_annotators_are_listed_in_pages(client: httpx.AsyncClient) -> None:
    for name in ("ana", "ben", "cem"):
        await make(client, name=name)
    names: list[str] = []
    cursor = None
    for _ in range(3):
        query = {"limit": 2} | ({"cursor": cursor} if cursor else {})
        page = (await client.get("/annotators", params=query)).json()
        names += [entry["name"] for entry in page["annotators"]]
        cursor = page["next_cursor"]
        if cursor is None:
            break
    assert names == ["admin", "ana", "ben", "cem"]


@pytest.mark.parametrize("cursor", ["x", "!!!!", "A" * 64, "AAAA"])
async def test_a_cursor_of_nobody_is_refused(client: httpx.AsyncClient, cursor: str) -> None:
    answer = await client.get("/annotators", params={"cursor": cursor})
    assert answer.status_code == 422
    assert answer.json()["errors"][0]["loc"] == ["query", "cursor"]
