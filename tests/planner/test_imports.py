"""What an import adds to is neither grouped, drawn nor planned before it ends."""

import asyncio
import signal
from collections.abc import AsyncIterator, Sequence
from typing import Any

import httpx
import numpy as np
import pytest
from sqlalchemy import func, select, text, update

from app.annotation.verify import find_differences
from app.planner.index import index_path
from app.planner.queries.imports import LOCK_ADDED_TO
from app.selection.draws import exploration_draw
from app.storage.tables import Import, Project, Response
from app.vectors.marks import VectorSource
from app.vectors.service import cluster, restore
from tests.e2e.serving import open_folder
from tests.planner.planning import DIMENSIONS, PlanWorld, plan_all, unit, until
from tests.prompts.sending import as_lines, import_lines
from tests.stress.processes import ADMIN_KEY, running_api
from tests.support.indexes import indexes

Row = dict[str, Any]


def _row(name: str, *responses: str) -> Row:
    """A row of a prompt, whose vectors depend on the texts alone."""
    return {
        "id": name,
        "prompt": f"prompt {name}",
        "embedding": _vector(name),
        "responses": [
            {"id": each, "text": each, "embedding": _vector(name + each)} for each in responses
        ],
    }


def _vector(name: str) -> list[float]:
    seed = int.from_bytes(name.encode(), "little") % 2**32
    vector: list[float] = unit(np.random.default_rng(seed), 1)[0].tolist()
    return vector


class Stream:
    """The body of an import, which goes on when a test says so."""

    def __init__(self) -> None:
        self._parts: asyncio.Queue[bytes | None] = asyncio.Queue()

    def send(self, rows: Sequence[Row]) -> None:
        """Send rows, as many as are stored together."""
        self._parts.put_nowait(as_lines(rows))

    def end(self) -> None:
        """Nothing more will come."""
        self._parts.put_nowait(None)

    async def __aiter__(self) -> AsyncIterator[bytes]:
        while (part := await self._parts.get()) is not None:
            yield part


def _batch(first: int, *responses: str) -> list[Row]:
    """As many rows as are stored together."""
    return [_row(f"p{number}", *responses) for number in range(first, first + 500)]


async def _stored(world: PlanWorld, responses: int) -> None:
    async def are_stored() -> bool:
        async with world.sessions() as session:
            return await session.scalar(select(func.count(Response.id))) == responses

    await until(are_stored)


async def _status(client: httpx.AsyncClient) -> str:
    answer = await client.get("/next-pairs")
    status: str = answer.json()["status"]
    return status


async def test_prompts_of_a_running_import_wait_for_its_end(
    client: httpx.AsyncClient, world: PlanWorld
) -> None:
    await world.set_project(exploration=0.5)
    stream = Stream()
    importing = asyncio.create_task(import_lines(client, stream, labels="keep"))
    stream.send(_batch(0, "a", "b"))
    await _stored(world, 1000)
    posted = await client.post("/prompts", json=_row("posted", "a", "b"))
    assert posted.status_code == 201
    await world.plan()

    grouped = [each.external_id for each in await world.prompts() if each.group_id is not None]
    assert grouped == ["posted"]
    assert await world.unplanned() == 500
    assert {
        each.prompt_id for each in [*await world.pairs(), *await world.pairs("exploration")]
    } == {each.id for each in await world.prompts() if each.external_id == "posted"}
    stream.send(_batch(0, "a", "c"))
    stream.end()
    report = await importing
    assert (report["created"], report["extended"], report["rejected"]) == (500, 500, [])
    await world.plan()

    prompts = await world.prompts()
    assert all(each.group_id is not None and each.import_id is None for each in prompts)
    assert await world.unplanned() == 0
    project = await _project(world)
    assert all(each.exploration == exploration_draw(each.id, project.seed, 0.5) for each in prompts)
    drawn = [each for each in await world.pairs("exploration") if each.prompt_id != prompts[-1].id]
    assert {each.propensity for each in drawn} == {1 / 3}  # of all three responses
    assert await _imports(world) == 0
    assert await world.miscounted() == []
    async with world.sessions() as session:
        assert await find_differences(session) == []


async def test_an_annotator_waits_while_an_import_runs(
    client: httpx.AsyncClient, world: PlanWorld
) -> None:
    await world.set_project(pairs_per_prompt=1)
    await client.post("/prompts", json=_row("p0", "a", "b"))
    await world.plan()
    assert await _status(client) == "ok"
    (pair,) = (await client.get("/next-pairs")).json()["pairs"]
    await client.post("/labels", json={"assignment_id": pair["assignment_id"], "choice": "left"})
    assert await _status(client) == "complete"
    stream = Stream()
    importing = asyncio.create_task(import_lines(client, stream))
    stream.send(_batch(0, "a", "c"))
    await _stored(world, 2 + 1 + 499 * 2)
    await world.plan()
    assert await _status(client) == "waiting"
    stream.end()
    await importing
    assert await _status(client) == "waiting"
    await world.plan()
    assert await _status(client) == "ok"


async def test_the_pairs_of_a_prompt_that_an_import_extends_are_renewed_at_its_end(
    client: httpx.AsyncClient, world: PlanWorld
) -> None:
    rows = [_row(f"p{number}", "a", "b") for number in range(4)]
    assert (await client.post("/prompts", json={"prompts": rows})).status_code == 201
    await world.plan()
    before = {(each.first_response_id, each.second_response_id) for each in await world.pairs()}
    assert len(before) == 4
    stream = Stream()
    importing = asyncio.create_task(import_lines(client, stream))
    stream.send(_batch(0, "a", "c"))
    await _stored(world, 4 * 2 + 4 + 496 * 2)
    async with world.planner() as planner:
        await plan_all(planner)
        # A renewal for another reason chooses among the responses that were there.
        await world.set_project(strategy="similar")
        await plan_all(planner)
    during = await world.pairs()
    assert {(each.first_response_id, each.second_response_id) for each in during} == before
    assert {each.strategy for each in during} == {"similar"}
    stream.end()
    await importing
    await world.plan()
    assert len(await world.pairs()) == 4 * 3 + 496


async def test_an_import_that_breaks_off_ends(client: httpx.AsyncClient, world: PlanWorld) -> None:
    async def broken() -> AsyncIterator[bytes]:
        yield as_lines(_batch(0, "a", "b"))
        await _stored(world, 1000)
        raise RuntimeError("the client dies")

    lines = {"Content-Type": "application/x-ndjson"}
    answer = await client.post("/prompts/import", content=broken(), headers=lines)
    assert answer.status_code == 500
    await world.plan()
    assert len(await world.pairs()) == 500
    assert await _imports(world) == 0


async def test_an_import_that_touches_nothing_leaves_nothing(
    client: httpx.AsyncClient, world: PlanWorld
) -> None:
    await import_lines(client, b"{\n")
    assert await _imports(world) == 0


async def test_prompts_that_two_imports_add_to_wait_for_both(
    client: httpx.AsyncClient, world: PlanWorld
) -> None:
    streams = [Stream() for _ in range(3)]
    imports = [asyncio.create_task(import_lines(client, stream)) for stream in streams]
    for number, (stream, first) in enumerate(zip(streams, (0, 0, 1000), strict=True)):
        stream.send(_batch(first, "a", f"b{number}"))
        await _stored(world, (1000, 1500, 2500)[number])
    for number in (1, 2):
        streams[number].end()
        await imports[number]
    await world.plan()
    # The third shares no prompt with the others, and need not wait for them.
    planned = {each.external_id for each in await world.prompts() if each.group_id is not None}
    assert planned == {row["id"] for row in _batch(1000)}
    streams[0].end()
    await imports[0]
    await world.plan()
    assert await world.unplanned() == 0
    assert await _imports(world) == 0


async def test_the_index_opens_again_while_prompts_wait_for_an_import(
    client: httpx.AsyncClient, world: PlanWorld
) -> None:
    stream = Stream()
    importing = asyncio.create_task(import_lines(client, stream))
    stream.send(_batch(0, "a", "b"))
    await _stored(world, 1000)
    rows = [_row(f"q{number}", "a", "b") for number in range(20)]
    await client.post("/prompts", json={"prompts": rows})
    await world.plan()
    async with world.sessions() as session:
        owner = f"project {world.project_id} seed 7 in cluster {await cluster(session)}"
        path = index_path(world.data_dir, world.project_id)
        source = VectorSource(world.project_id)
        found = await restore(session, source, path, owner=owner, dimensions=DIMENSIONS)
    assert len(found.index) == 20
    stream.end()
    await importing
    async with world.planner() as planner:
        await plan_all(planner)
        (project,) = planner._projects.values()
        index = project.index._index
        assert index is not None
        assert len(index) == 520


@pytest.mark.e2e
async def test_an_import_whose_process_is_killed_lapses(world: PlanWorld) -> None:
    await world.set_project(exploration=0.2)
    with open_folder() as folder, running_api(world.url, folder) as (url, api):
        bearer = {"Authorization": f"Bearer {ADMIN_KEY}"}
        async with httpx.AsyncClient(base_url=url, headers=bearer, timeout=120) as client:
            stream = Stream()
            importing = asyncio.create_task(import_lines(client, stream))
            stream.send(_batch(0, "a", "b"))
            stream.send(_batch(0, "a", "c"))
            await _stored(world, 1500)
            with world.planner_process():
                api.send_signal(signal.SIGKILL)
                api.wait()
                stream.end()
                with pytest.raises(httpx.TransportError):
                    await importing
                async with world.sessions() as session:
                    alive = await session.scalar(select(Import.expires_at > func.clock_timestamp()))
                assert alive
                assert await world.unplanned() == 500
                async with world.sessions.begin() as session:
                    # As if its time were over.
                    await session.execute(update(Import).values(expires_at=Import.started_at))

                async def planned() -> bool:
                    return await world.unplanned() == 0 and await _imports(world) == 0

                await until(planned)
    project = await _project(world)
    prompts = await world.prompts()
    assert len(prompts) == 500
    assert all(each.exploration == exploration_draw(each.id, project.seed, 0.2) for each in prompts)
    assert await world.miscounted() == []


async def test_what_ended_imports_added_to_is_found_by_its_index(
    client: httpx.AsyncClient, world: PlanWorld
) -> None:
    rows = [_row(f"p{number}", "a", "b") for number in range(1000)]
    assert (await client.post("/prompts", json={"prompts": rows})).status_code == 201
    await import_lines(client, as_lines(_batch(0, "a", "c")[:20]))
    async with world.sessions() as session:
        await session.execute(text("ANALYZE"))
        import_id = await session.scalar(select(Import.id))
        which = {"project_id": world.project_id, "import_id": import_id, "limit": 10}
        assert await indexes(session, LOCK_ADDED_TO, which) == {"ix_prompts_import"}


async def _project(world: PlanWorld) -> Project:
    async with world.sessions() as session:
        return (await session.scalars(select(Project))).one()


async def _imports(world: PlanWorld) -> int:
    async with world.sessions() as session:
        return await session.scalar(select(func.count(Import.id))) or 0
