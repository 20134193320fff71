"""The index is a cache: whatever happens to it and to its planner, its answers are exact."""

import asyncio
import json
import os
import random
import signal
import uuid
from pathlib import Path

import numpy as np
import pytest
from sqlalchemy import delete, func, insert, select, update
from sqlalchemy.ext.asyncio import AsyncSession

from app.embedding.unit import from_bytes, to_bytes
from app.storage.notifications import Channel, Listener, Subscription, notify
from app.storage.sessions import Sessions
from app.storage.tables import ErasedPrompt, Project, ProjectIntake, Prompt, PromptEmbedding
from tests.planner.planning import DIMENSIONS, Floats, PlanWorld, unit, until

PART = 720
# How each planner ends, and what then becomes of the file.
LIVES = (
    ("stop", "keep"),
    ("kill", "keep"),
    ("kill while it stops", "keep"),
    ("stop", "flip"),
    ("stop", "truncate"),
    ("kill", "delete"),
    ("stop", "keep"),
)
PARTS_PER_LIFE = 4
VECTORS = len(LIVES) * PARTS_PER_LIFE * PART
QUESTIONS = 50
LIMIT = 10


@pytest.fixture
async def world(sessions: Sessions, database_url: str, tmp_path: Path) -> PlanWorld:
    async with sessions.begin() as session:
        project_id = (await session.scalars(select(Project.id))).one()
        await session.execute(
            update(Project).values(seed=7, embedding_source="caller", embedding_dimensions=16)
        )
    return PlanWorld(sessions, database_url, tmp_path, project_id)


async def _insert(world: PlanWorld, session: AsyncSession, vectors: Floats) -> list[int]:
    """Prompts that have nothing to plan, so that the index is all there is to do."""
    columns = {
        "project_id": world.project_id,
        "content": "A prompt",
        "fingerprint": b"",
        "status": "ready",
        "pairs_total": 0,
    }
    ids = await session.scalars(
        insert(Prompt).returning(Prompt.id, sort_by_parameter_order=True),
        [{**columns, "external_id": os.urandom(8).hex()} for _ in vectors],
    )
    rows = [
        {"prompt_id": one, "project_id": world.project_id, "vector": to_bytes(vector)}
        for one, vector in zip(ids, vectors, strict=True)
    ]
    await session.execute(insert(PromptEmbedding), rows)
    return [int(row["prompt_id"]) for row in rows]  # type: ignore[call-overload]  # a number


async def _count(world: PlanWorld, session: AsyncSession, prompts: int, unplanned: int) -> None:
    await session.execute(
        update(ProjectIntake)
        .where(ProjectIntake.project_id == world.project_id)
        .values(
            prompts=ProjectIntake.prompts + prompts,
            unplanned=ProjectIntake.unplanned + unplanned,
        )
    )


async def _write_out_of_order(world: PlanWorld, rng: np.random.Generator) -> None:
    """Pairs of transactions: the one that begins first, with lower numbers, commits last."""
    for _ in range(PARTS_PER_LIFE // 2):
        async with world.sessions() as early, world.sessions() as late:
            first = await _insert(world, early, unit(rng, PART))
            await _insert(world, late, unit(rng, PART))
            await _count(world, late, PART, PART)
            await late.commit()
            await _count(world, early, PART, PART)
            await early.commit()
        await _erase(world, first[::90])


async def _erase(world: PlanWorld, prompt_ids: list[int]) -> None:
    """Delete prompts; those that had not arrived are no more counted as unplanned."""
    async with world.sessions.begin() as session:
        groups = await session.scalars(
            delete(Prompt).where(Prompt.id.in_(prompt_ids)).returning(Prompt.group_id)
        )
        unplanned = sum(group is None for group in groups)
        await session.execute(
            insert(ErasedPrompt),
            [{"prompt_id": one, "project_id": world.project_id} for one in prompt_ids],
        )
        await _count(world, session, -len(prompt_ids), -unplanned)


async def _live(
    world: PlanWorld, end: str, chance: random.Random, rng: np.random.Generator
) -> None:
    """A planner that ends at some moment while others write."""
    before = await _arrived(world)

    async def at_work() -> bool:
        return await _arrived(world) > before

    with world.planner_process() as process:
        async with asyncio.TaskGroup() as tasks:
            tasks.create_task(_write_out_of_order(world, rng))
            await until(at_work)
            await asyncio.sleep(chance.random() * 0.3)
            if end != "kill":
                process.send_signal(signal.SIGTERM)
            if end == "kill while it stops":
                await asyncio.sleep(chance.random() * 0.02)
            if end != "stop":
                process.kill()
            await asyncio.to_thread(process.wait)


def _damage(path: Path, fate: str, chance: random.Random) -> None:
    whole = path.read_bytes()
    place = chance.randrange(max(1, len(whole)))
    if fate == "delete":
        path.unlink()
    elif fate == "truncate":
        path.write_bytes(whole[:place])
    elif fate == "flip":
        path.write_bytes(whole[:place] + bytes([whole[place] ^ 1]) + whole[place + 1 :])


async def _arrived(world: PlanWorld) -> int:
    async with world.sessions() as session:
        return (
            await session.scalars(select(func.count()).where(Prompt.group_id.is_not(None)))
        ).one()


async def _ask(world: PlanWorld, answered: Subscription, prompt_id: int) -> list[tuple[int, float]]:
    question = {"project": world.project_id, "prompt": prompt_id, "limit": LIMIT}
    while True:
        request = str(uuid.uuid4())
        async with world.sessions.begin() as session:
            await notify(
                session, Channel.SIMILAR_ASKED, json.dumps({"request": request, **question})
            )
        while said := await answered.get(1.0):
            told = json.loads(said.payload)
            if told["request"] == request:
                return [(number, similarity) for number, similarity in told["similar"]]


@pytest.mark.e2e
async def test_answers_equal_exact_search_whatever_happened_to_planner_and_files(
    world: PlanWorld,
) -> None:
    chance, rng = random.Random(3), np.random.default_rng(3)
    for end, fate in LIVES:
        await _live(world, end, chance, rng)
        for path in (world.data_dir / "index").glob("*"):
            _damage(path, fate, chance)

    async def all_arrived() -> bool:
        return await world.unplanned() == 0

    async with world.sessions() as session:
        rows = (
            await session.execute(select(PromptEmbedding.prompt_id, PromptEmbedding.vector))
        ).all()
    vectors = from_bytes([row.vector for row in rows], DIMENSIONS)
    place = {row.prompt_id: number for number, row in enumerate(rows)}
    async with Listener(world.url) as listener:
        with listener.subscribe(Channel.SIMILAR_ANSWERED) as answered, world.planner_process():
            await until(all_arrived)
            for prompt_id in chance.sample(sorted(place), QUESTIONS):
                found = await _ask(world, answered, prompt_id)
                exact = vectors @ vectors[place[prompt_id]]
                exact[place[prompt_id]] = -np.inf
                wanted = np.sort(exact)[::-1][:LIMIT]
                np.testing.assert_allclose(
                    [similarity for _, similarity in found], wanted, atol=2e-6
                )
                np.testing.assert_allclose(
                    [exact[place[number]] for number, _ in found], wanted, atol=2e-6
                )
    assert len(rows) == VECTORS - len(LIVES) * PARTS_PER_LIFE // 2 * PART // 90
