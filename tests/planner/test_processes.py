"""Planners as processes: killed, two at once, asked for similar prompts, and their files."""

import json
import os
import signal
import uuid
from collections.abc import Awaitable, Callable
from pathlib import Path

import numpy as np
import pytest
from sqlalchemy import delete, func, insert, select, text

from app.planner.index import delete_index
from app.storage.notifications import Channel, Listener, Subscription, notify
from app.storage.tables import ErasedPrompt, Pair, Project, ProjectIntake, Prompt
from app.vectors import snapshot
from app.vectors.service import cluster
from tests.planner.planning import DIMENSIONS, PlanWorld, near, plan_all, unit, until


@pytest.fixture
def rng() -> np.random.Generator:
    return np.random.default_rng(5)


_CUT_CONNECTIONS = text("""
    SELECT count(pg_terminate_backend(pid)) FROM pg_stat_activity
    WHERE datname = current_database() AND application_name LIKE 'annotation-budget planner%'
""")


async def _pairs(world: PlanWorld) -> int:
    async with world.sessions() as session:
        return await session.scalar(select(func.count()).select_from(Pair)) or 0


async def _add_many(world: PlanWorld, rng: np.random.Generator) -> None:
    base = unit(rng, 1000)
    copies = np.stack([near(one, 0.97, rng) for one in base])
    for part in (base, copies):
        await world.add_prompts(part, unit(rng, 1000, 3))


@pytest.mark.e2e
async def test_a_planner_killed_again_and_again_leaves_the_same_plan_as_one_left_alone(
    world: PlanWorld, rng: np.random.Generator
) -> None:
    await world.set_project(exploration=0.2)
    await _add_many(world, rng)
    for goal in (1, 600, 1500):
        with world.planner_process() as process:

            async def enough(goal: int = goal) -> bool:
                return await _pairs(world) >= goal

            await until(enough)
            os.kill(process.pid, signal.SIGKILL)
            process.wait()
    await world.plan()

    prompts = await world.prompts()
    assert [one.group_id for one in prompts] == 2 * [one.id for one in prompts[:1000]]
    assert await world.unplanned() == 0
    assert await world.miscounted() == []
    assert len(await world.pairs("exploration")) == sum(bool(one.exploration) for one in prompts)
    pairs = await world.pairs()
    unique = {(pair.first_response_id, pair.second_response_id) for pair in pairs}
    assert len(unique) == len(pairs) >= 2000


@pytest.mark.e2e
async def test_two_planners_at_once_plan_nothing_twice(
    world: PlanWorld, rng: np.random.Generator, tmp_path: Path
) -> None:
    await world.set_project(pairs_per_prompt=1)
    with world.planner_process(), world.planner_process(tmp_path / "other"):
        await _add_many(world, rng)
        await until(_holds(world, 2000))
    await world.plan()

    assert await world.unplanned() == 0
    assert await world.miscounted() == []
    prompts = await world.prompts()
    assert [one.group_id for one in prompts] == 2 * [one.id for one in prompts[:1000]]


@pytest.mark.e2e
async def test_a_planner_takes_over_from_one_that_died(
    world: PlanWorld, rng: np.random.Generator, tmp_path: Path
) -> None:
    with world.planner_process() as first:
        await world.add_prompts(unit(rng, 10), unit(rng, 10, 2))
        await until(_holds(world, 10))
        with world.planner_process(tmp_path / "other"):
            first.kill()
            await world.add_prompts(unit(rng, 10), unit(rng, 10, 2))

            await until(_holds(world, 20))


async def test_a_planner_goes_on_when_its_connections_were_cut(
    world: PlanWorld, rng: np.random.Generator
) -> None:
    with world.planner_process() as process:
        await world.add_prompts(unit(rng, 10), unit(rng, 10, 2))
        await until(_holds(world, 10))
        async with world.sessions() as session:
            cut = await session.scalar(_CUT_CONNECTIONS)
        await world.add_prompts(unit(rng, 10), unit(rng, 10, 2))

        await until(_holds(world, 20))

        assert cut
        assert process.poll() is None


def _holds(world: PlanWorld, pairs: int) -> Callable[[], Awaitable[bool]]:
    async def holds() -> bool:
        return await _pairs(world) == pairs

    return holds


async def _owner(world: PlanWorld) -> str:
    async with world.sessions() as session:
        return f"project {world.project_id} seed 7 in cluster {await cluster(session)}"


async def test_a_planner_that_is_asked_to_stop_saves_its_index(
    world: PlanWorld, rng: np.random.Generator
) -> None:
    ids = await world.add_prompts(unit(rng, 20), unit(rng, 20, 2))
    with world.planner_process() as process:
        await until(_holds(world, 20))
        process.terminate()
        assert process.wait() == 0

    [path] = (world.data_dir / "index").iterdir()
    saved = snapshot.load(path, owner=await _owner(world), dimensions=DIMENSIONS)
    assert saved is not None
    assert saved.index.ids().tolist() == ids


async def _ask(world: PlanWorld, answered: Subscription, prompt: int, limit: int) -> list[int]:
    """The ids of the prompts that some planner finds; asked again until one answers."""
    question = {"project": world.project_id, "prompt": prompt, "limit": limit}
    found: list[int] | None = None

    async def answer() -> bool:
        nonlocal found
        request = str(uuid.uuid4())
        async with world.sessions.begin() as session:
            await notify(
                session, Channel.SIMILAR_ASKED, json.dumps({"request": request, **question})
            )
        while said := await answered.get(0.5):
            told = json.loads(said.payload)
            if told["request"] == request:
                found = [one for one, _ in told["similar"]]
                return True
        return False

    await until(answer)
    assert found is not None
    return found


async def test_similar_prompts_are_answered_nearest_first_without_the_prompt_itself(
    world: PlanWorld, rng: np.random.Generator
) -> None:
    base = unit(rng, 1)[0]
    cosines = [1.0, 0.6, 0.9, 0.3, 0.99]
    vectors = np.stack([near(base, cosine, rng) for cosine in cosines])
    ids = await world.add_prompts(vectors, unit(rng, 5, 2))

    async with Listener(world.url) as listener:
        with listener.subscribe(Channel.SIMILAR_ANSWERED) as answered, world.planner_process():
            found = await _ask(world, answered, ids[0], 3)
            unknown = await _ask(world, answered, ids[-1] + 1000, 3)
            async with world.sessions.begin() as session:
                await session.execute(delete(Prompt).where(Prompt.id == ids[4]))
                await session.execute(
                    insert(ErasedPrompt).values(prompt_id=ids[4], project_id=world.project_id)
                )
            left = await _ask(world, answered, ids[0], 3)

    assert found == [ids[4], ids[2], ids[1]]
    assert unknown == []
    assert left == [ids[2], ids[1], ids[3]]


async def test_an_erased_prompt_leaves_the_saved_index_too(
    world: PlanWorld, rng: np.random.Generator
) -> None:
    ids = await world.add_prompts(unit(rng, 3), unit(rng, 3, 2))
    await world.plan()
    async with world.sessions.begin() as session:
        await session.execute(delete(Prompt).where(Prompt.id == ids[1]))
        await session.execute(
            insert(ErasedPrompt).values(prompt_id=ids[1], project_id=world.project_id)
        )

    await world.plan()

    [path] = (world.data_dir / "index").iterdir()
    saved = snapshot.load(path, owner=await _owner(world), dimensions=DIMENSIONS)
    assert saved is not None
    assert saved.index.ids().tolist() == [ids[0], ids[2]]


async def test_an_index_whose_file_was_lost_is_rebuilt_although_nothing_is_left_to_plan(
    world: PlanWorld, rng: np.random.Generator
) -> None:
    # A prompt with one response has no pairs. More prompts than are read in a turn:
    ids = await world.add_prompts(unit(rng, 2100), unit(rng, 2100, 1))
    await world.plan()
    delete_index(world.data_dir, world.project_id)

    await world.plan()

    [path] = (world.data_dir / "index").iterdir()
    saved = snapshot.load(path, owner=await _owner(world), dimensions=DIMENSIONS)
    assert saved is not None
    assert saved.index.ids().tolist() == ids


async def test_a_deleted_projects_file_is_deleted(
    world: PlanWorld, rng: np.random.Generator
) -> None:
    await world.add_prompts(unit(rng, 3), unit(rng, 3, 2))
    async with world.planner() as planner:
        await plan_all(planner)
        async with world.sessions.begin() as session:
            other = Project(
                name="kept", guidelines="", strategy="dissimilar", unit="labels",
                labels_per_pair=1, overlap_share=0, overlap_labels=2, exploration=0.1,
                lease_seconds=1800, cost_seconds_base=8, cost_words_per_minute=238, seed=1,
            )  # fmt: skip
            session.add(other)
            await session.flush()
            session.add(ProjectIntake(project_id=other.id))
    files = list((world.data_dir / "index").iterdir())
    async with world.sessions.begin() as session:
        await session.execute(delete(Project).where(Project.id == world.project_id))

    await world.plan()

    assert len(files) == 1
    assert list((world.data_dir / "index").iterdir()) == []
