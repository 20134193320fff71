"""Whoever needs a project's row takes it first, and keeps it from nobody meanwhile."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import httpx
import pytest
from sqlalchemy import select, update
from sqlalchemy.exc import DBAPIError
from sqlalchemy.ext.asyncio import AsyncSession

from app.annotation.queries.imported_labels import find_or_add_pairs
from app.projects import service as projects
from app.storage.arm import Arm
from app.storage.tables import Pair, Project, ProjectIntake, Prompt, Response
from tests.annotation.conftest import World, world
from tests.prompts.sending import as_lines, import_lines, prompt

__all__ = ["world"]

PATIENCE_SECONDS = 60


@asynccontextmanager
async def embedding(world: World) -> AsyncIterator[AsyncSession]:
    """An embedder that is at work on all prompts: it counts them only at its end."""
    async with world.sessions.begin() as session:
        await session.scalars(select(Prompt).with_for_update(key_share=True))
        yield session
        await session.execute(update(ProjectIntake).values(pending=0))


async def test_an_import_with_labels_waits_for_its_project_before_it_writes(
    client: httpx.AsyncClient, world: World
) -> None:
    await client.post("/prompts", json=prompt())  # what its embeddings are is settled
    line = {"prompt": "x", "chosen": "a", "rejected": "b"}
    async with world.sessions.begin() as session:
        await projects.lock_project(session, (await world.project()).id)
        importing = asyncio.create_task(import_lines(client, as_lines([line]), labels="keep"))
        await world.until_waiting(1)
        # As who deletes the project does: a deadlock, had the import written a row of it.
        await session.execute(select(Project.id).with_for_update())
    report = await importing
    assert (report["created"], report["labels"]) == (1, 1)


async def test_no_claim_waits_for_an_embedder_because_a_prompt_is_being_deleted(
    client: httpx.AsyncClient, world: World
) -> None:
    (sent,) = (await client.post("/prompts", json=prompt())).json()["prompts"]
    async with embedding(world):
        deleting = asyncio.create_task(client.delete(f"/prompts/{sent['id']}"))
        await world.until_waiting(1)
        async with asyncio.timeout(PATIENCE_SECONDS):
            assert (await client.get("/next-pairs")).json()["status"] == "waiting"
    assert (await deleting).status_code == 204


async def test_a_project_is_deleted_when_an_embedder_has_finished_with_its_prompts(
    client: httpx.AsyncClient, world: World
) -> None:
    assert (await client.post("/projects", json={"name": "doomed"})).status_code == 201
    assert (await client.post("/prompts?project=doomed", json=prompt())).status_code == 201
    async with embedding(world):
        deleting = asyncio.create_task(
            client.delete("/projects/doomed", params={"confirm": "doomed"})
        )
        await world.until_waiting(1)
    assert (await deleting).status_code == 204


async def test_no_pair_leaves_the_plan_between_being_found_and_getting_its_label(
    client: httpx.AsyncClient, world: World
) -> None:
    await client.post("/prompts", json=prompt())
    project = await world.project()
    async with world.sessions.begin() as session:
        first, second = await session.scalars(select(Response.id).order_by(Response.id))
        pair = ((await session.scalars(select(Prompt.id))).one(), first, second)
        known = await find_or_add_pairs(session, project.id, {pair: Arm.IMPORTED})
    async with world.sessions.begin() as importing, world.sessions() as planning:
        assert await find_or_add_pairs(importing, project.id, {pair: Arm.IMPORTED}) == known
        with pytest.raises(DBAPIError, match="could not obtain lock"):
            await planning.execute(select(Pair).with_for_update(nowait=True))
