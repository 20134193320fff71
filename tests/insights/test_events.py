"""The event streams of a project, through a real server."""

import asyncio
import socket
import time
from contextlib import AsyncExitStack
from typing import Any

import httpx
import pytest
from fastapi import FastAPI
from sqlalchemy import select

from app.embedder.process import Embedder
from app.main import create_app
from app.settings import Settings
from app.storage.notifications import Channel, notify
from app.storage.sessions import Sessions
from app.storage.tables import Project
from tests.annotation.conftest import World
from tests.embedder.world import LetterEncoder
from tests.insights.conftest import client_at, give_label, serving, wait_until
from tests.insights.reading import watching
from tests.support.api import ADMIN_KEY, ClientFactory


async def key_of(client: httpx.AsyncClient, name: str, projects: list[str] | None = None) -> str:
    made = await client.post("/annotators", json={"name": name, "projects": projects})
    key: str = made.json()["key"]
    return key


async def test_each_change_is_told_with_counts_and_ledger(
    app: FastAPI, client: httpx.AsyncClient, world: World, annotator_client: ClientFactory
) -> None:
    ana = await annotator_client("ana")
    async with serving(app) as running, client_at(running) as watcher, watching(watcher) as events:
        await world.add_pairs(2)
        await events.first("prompts", prompts=2, pending_prompts=0)
        await events.first("plan", open_pairs=2, held_assignments=0)
        await give_label(ana, "left")
        label = await events.first("label", labels=1, surplus_labels=0)
        ledger = await events.first("ledger")

        project = (await client.get("/projects/default")).json()
        assert label.data == {"counts": project["counts"], "ledger": project["ledger"]}
        assert ledger.data == {"counts": project["counts"], "ledger": project["ledger"]}


async def test_a_prompt_that_fails_and_is_tried_again_is_told(
    app: FastAPI, client: httpx.AsyncClient, sessions: Sessions
) -> None:
    encoder = LetterEncoder()
    encoder.fails_on = lambda text: text == "bad"
    sent = {"prompt": "q", "responses": [{"text": "good"}, {"text": "bad"}]}
    async with serving(app) as running, client_at(running) as watcher, watching(watcher) as events:
        taken = (await client.post("/prompts", json=sent)).json()["prompts"][0]
        await events.first("prompts", prompts=1, pending_prompts=1, failed_prompts=0)
        await Embedder(encoder, sessions, 256).embed_batch()
        await events.first("prompts", prompts=1, pending_prompts=0, failed_prompts=1)
        await client.post(f"/prompts/{taken['id']}/retry")
        await events.first("prompts", prompts=1, pending_prompts=1, failed_prompts=0)


async def test_an_announced_change_is_told_without_waiting_for_the_poll(
    settings: Settings, app: FastAPI, world: World
) -> None:
    patient = create_app(settings.model_copy(update={"poll_seconds": 60.0}))
    async with (
        patient.router.lifespan_context(patient),
        serving(patient) as running,
        client_at(running) as watcher,
        watching(watcher) as events,
    ):
        async with world.sessions.begin() as session:
            project = (await session.scalars(select(Project))).one()
            project.counted_labels = 7
            await notify(session, Channel.LEDGER_CHANGED, str(project.id))
        event = await events.next()

    assert event is not None
    assert event.kind == "label"
    assert event.data["counts"]["labels"] == 7


async def test_many_changes_are_told_as_one_with_the_newest_figures(
    app: FastAPI, world: World, annotator_client: ClientFactory
) -> None:
    ana = await annotator_client("ana")
    await world.add_pairs(12)
    async with serving(app) as running, client_at(running) as watcher, watching(watcher) as events:
        started = time.monotonic()
        for _ in range(12):
            await give_label(ana, "left")
        told = 0
        labels = 0
        while labels < 12:
            labels = (await events.first("label")).data["counts"]["labels"]
            told += 1

    assert told <= 2 + (time.monotonic() - started)


async def test_who_comes_back_with_its_last_event_is_told_what_has_changed_since(
    app: FastAPI, world: World, annotator_client: ClientFactory
) -> None:
    ana = await annotator_client("ana")
    await world.add_pairs(2)
    async with serving(app) as running, client_at(running) as watcher:
        async with watching(watcher) as events:
            await give_label(ana, "left")
            last = await events.first("ledger")
            while last.data["ledger"] != {**last.data["ledger"], "spent": 1, "reserved": 0}:
                last = await events.first("ledger")
        await give_label(ana, "left")
        headers = {"Last-Event-ID": last.id}
        async with watching(watcher, **headers) as events:
            missed = [await events.next() for _ in range(3)]

    assert [event.kind for event in missed if event] == ["label", "plan", "ledger"]  # no `prompts`
    assert [event.data["counts"]["labels"] for event in missed if event] == [2, 2, 2]


async def test_an_annotator_is_told_of_plan_and_ledger_alone(
    app: FastAPI, client: httpx.AsyncClient, world: World
) -> None:
    ana, ben = await key_of(client, "ana"), await key_of(client, "ben")
    await world.add_pairs(1)
    async with (
        serving(app) as running,
        client_at(running, ana) as watcher,
        client_at(running, ben) as other,
        watching(watcher) as events,
    ):
        await give_label(other, "left")
        seen: dict[str, Any] = {}
        while seen.get("ledger", {}).get("ledger", {}).get("spent") != 1:
            event = await events.next()
            assert event is not None
            seen[event.kind] = event.data

    assert seen.keys() <= {"plan", "ledger"}
    assert all(data["counts"] == {"pending_prompts": 0} for data in seen.values())


async def test_another_projects_changes_are_not_told(
    app: FastAPI, client: httpx.AsyncClient, world: World, annotator_client: ClientFactory
) -> None:
    ana = await annotator_client("ana")
    await world.add_pairs(1)
    await client.post("/projects", json={"name": "other"})
    async with (
        serving(app) as running,
        client_at(running) as watcher,
        watching(watcher, "/events?project=other") as events,
        watching(watcher) as default_events,
    ):
        await give_label(ana, "left")
        await default_events.first("label", labels=1)
        await client.patch("/projects/other", json={"budget": {"limit": 5}})
        event = await events.next()

    assert event is not None
    assert event.kind == "ledger"
    assert event.data["ledger"]["limit"] == 5


async def test_a_stream_needs_a_key_of_the_project(
    app: FastAPI, client: httpx.AsyncClient, anonymous: httpx.AsyncClient
) -> None:
    await client.post("/projects", json={"name": "other"})
    ana = await key_of(client, "ana", ["other"])
    async with serving(app) as running, client_at(running, ana) as stranger:
        assert (await anonymous.get("/events")).status_code == 401
        assert (await stranger.get("/events")).status_code == 404
        assert (await client.get("/events?project=none")).status_code == 404


async def test_the_streams_of_a_deleted_project_end(
    app: FastAPI, client: httpx.AsyncClient
) -> None:
    await client.post("/projects", json={"name": "other"})
    async with (
        serving(app) as running,
        client_at(running) as watcher,
        watching(watcher, "/events?project=other") as events,
    ):
        assert (await client.delete("/projects/other?confirm=other")).status_code == 204
        assert await events.next() is None


async def test_streams_hold_no_database_connection_and_are_forgotten_when_their_clients_go(
    app: FastAPI,
) -> None:
    live = app.state.live_figures
    async with serving(app) as running, AsyncExitStack() as stack:
        watcher = await stack.enter_async_context(client_at(running))
        for _ in range(25):  # more than the pool has connections
            await stack.enter_async_context(watching(watcher))
        assert live.watchers == 25
        await wait_until(lambda: app.state.engine.pool.checkedout() == 0)
        await stack.aclose()
        await wait_until(lambda: live.watchers == 0)


async def test_a_client_that_reads_nothing_keeps_nobody_else_from_events(
    app: FastAPI, world: World
) -> None:
    request = f"GET /events HTTP/1.1\r\nHost: service\r\nAuthorization: Bearer {ADMIN_KEY}\r\n\r\n"
    async with serving(app) as running, client_at(running) as watcher:
        with socket.socket() as deaf:
            deaf.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 1024)
            deaf.connect(("127.0.0.1", running.port))
            deaf.sendall(request.encode())
            await wait_until(lambda: app.state.live_figures.watchers == 1)
            async with watching(watcher) as events:
                await world.add_pairs(1)
                await events.first("prompts", prompts=1)
                await wait_until(lambda: app.state.engine.pool.checkedout() == 0)
        await wait_until(lambda: app.state.live_figures.watchers == 0)


async def test_open_streams_end_when_the_server_stops(app: FastAPI, world: World) -> None:
    async with serving(app) as running, client_at(running) as watcher, AsyncExitStack() as stack:
        streams = [await stack.enter_async_context(watching(watcher)) for _ in range(3)]
        started = time.monotonic()
        stopping = asyncio.create_task(running.stop())
        assert [await events.next() for events in streams] == [None] * 3
        await stack.aclose()
        await watcher.aclose()
        await stopping

    assert time.monotonic() - started < 2


@pytest.mark.parametrize("ended_by", ["sign-out", "new key", "deactivation", "other projects"])
async def test_a_stream_ends_with_the_session_though_nothing_happens(
    app: FastAPI, client: httpx.AsyncClient, settings: Settings, ended_by: str
) -> None:
    key = await key_of(client, "ana")
    replica = create_app(settings)
    async with AsyncExitStack() as stack:
        await stack.enter_async_context(replica.router.lifespan_context(replica))
        running = await stack.enter_async_context(serving(replica))
        browser = await stack.enter_async_context(
            httpx.AsyncClient(base_url=f"http://127.0.0.1:{running.port}", timeout=60)
        )
        signed_in = await browser.post("/session", json={"key": key})
        token = {"X-CSRF-Token": signed_in.json()["csrf_token"]}
        stream = await stack.enter_async_context(browser.stream("GET", "/events"))
        lines = stream.aiter_lines()
        assert await anext(lines) == ": watching"
        if ended_by == "sign-out":
            assert (await browser.delete("/session", headers=token)).status_code == 204
        elif ended_by == "new key":
            await client.post("/annotators/ana/key")
        elif ended_by == "deactivation":
            await client.patch("/annotators/ana", json={"active": False})
        else:
            await client.post("/projects", json={"name": "other"})
            await client.patch("/annotators/ana", json={"projects": ["other"]})
        async for _ in lines:  # ends only if the service ends it
            pass
