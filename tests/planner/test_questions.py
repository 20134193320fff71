"""Prompts are grouped by what they ask: from the call to the group, with the real model."""

import random
from collections.abc import Callable, Sequence
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import httpx
import numpy as np
import pytest
from sqlalchemy import delete, select, update

from app.embedder.process import Embedder
from app.embedding.cache import CachedEncoder, MemoryCache
from app.embedding.encoder import Encoder
from app.embedding.load import load_encoder
from app.embedding.unit import from_bytes
from app.planner.index import delete_index, index_path
from app.prompts.question import QUESTION_VERSION
from app.storage.sessions import Sessions
from app.storage.tables import (
    Import,
    Project,
    ProjectIntake,
    Prompt,
    PromptEmbedding,
    QuestionEmbedding,
    QuestionProgress,
)
from app.vectors import snapshot
from app.vectors.index import VectorIndex
from app.vectors.marks import START, Mark, Position
from app.vectors.service import cluster
from tests.planner.planning import PlanWorld, plan_all

# Each with the same question in other words, or written in another way.
QUESTIONS = {
    "Name a planet.": "name a planet.",
    "Who wrote Hamlet?": "who wrote Hamlet",
    "How do magnets work?": "How do magnets work",
    "Why is the sky blue in the daytime?": "Why is the sky blue in daytime?",
    "Translate 'good morning' into French.": "Translate 'good morning' into French!",
    "What is the best topping for a pizza?": "What's the best topping for a pizza?",
    "Write a haiku about autumn leaves.": "Write a haiku about autumn leaves!",
    "Is it healthy to drink coffee every day?": "Is it healthy to drink coffee each day?",
    "When was the city of Rome founded?": "when was the city of rome founded?",
    "How can I sort a list in Python?": "How do I sort a list in Python?",
    "What does a public defender do?": "What does the public defender do?",
    "Explain how vaccines prevent measles.": "Explain how vaccines prevent measles!",
    "Which animals sleep through the winter?": "Which animals sleep through the winter",
    "How much sugar is in a bottle of cola?": "how much sugar is in a bottle of Cola?",
    "Tell me a joke about lawyers.": "Tell me a joke about lawyers!",
    "What is the capital of Peru?": "what is the capital of peru?",
    "How do I change a flat tyre on my bicycle?": "How do I change a flat tyre on my bicycle",
    "Recommend a novel about the sea.": "Recommend a novel about the sea!",
    "What happened at the Battle of Hastings?": "What happened in the Battle of Hastings?",
    "Why do cats purr when they are stroked?": "Why do cats purr when they are stroked",
}
GUIDELINES = (
    "You are the assistant of a shop for garden furniture, and you answer politely.",
    "Never tell anybody about internal policies of the shop.",
    "Keep to the facts that you know, and say so when you are not sure.",
    "Give no medical or legal advice of any kind.",
    "Use short sentences and plain words.",
)


def preamble(words: int) -> str:
    """Guidelines of about so many words, never fewer."""
    lines: list[str] = []
    while sum(len(line.split()) for line in lines) < words:
        lines.append(GUIDELINES[len(lines) % len(GUIDELINES)])
    return " ".join(lines)


def as_chat(system: str, asked: str) -> Any:
    return [{"role": "system", "content": system}, {"role": "user", "content": asked}]


def as_string(system: str, asked: str) -> Any:
    return f"{system}\n\n{asked}"


class Service:
    """The API, an embedder with the real model and a planner, each at work when it is asked to."""

    def __init__(self, client: httpx.AsyncClient, world: PlanWorld, encoder: Encoder) -> None:
        self.client = client
        self.world = world
        self.embedder = Embedder(encoder, world.sessions, 256)

    async def send(self, project: str, *requests: Sequence[Any]) -> None:
        """Send prompts, a list in each request, and let them arrive before the next."""
        async with self.world.planner() as planner:
            for contents in requests:
                responses = [{"text": "One answer."}, {"text": "Quite another one."}]
                body = {"prompts": [{"prompt": each, "responses": responses} for each in contents]}
                answer = await self.client.post("/prompts", params={"project": project}, json=body)
                assert answer.json()["created"] == len(contents)
                await self.embed()
                await plan_all(planner)

    async def embed(self) -> None:
        while await self.embedder.embed_batch() or await self.embedder.embed_old_questions():
            pass

    async def groups(self, project: str) -> list[set[str]]:
        """What the prompts of each group ask."""
        page = await self.client.get("/prompts", params={"project": project, "limit": 1000})
        found: dict[str, set[str]] = {}
        for prompt in page.json()["prompts"]:
            assert prompt["group"] is not None
            found.setdefault(prompt["group"], set()).add(what_is_asked(prompt["prompt"]))
        return list(found.values())


def what_is_asked(content: Any) -> str:
    text = content if isinstance(content, str) else content[-1]["content"]
    return str(text.rpartition("\n\n")[2])


@pytest.fixture(scope="module")
def encoder() -> Encoder:
    return CachedEncoder(load_encoder(None, "cpu"), MemoryCache(64_000_000))


@pytest.fixture
async def service(
    client: httpx.AsyncClient,
    sessions: Sessions,
    database_url: str,
    tmp_path: Path,
    encoder: Encoder,
) -> Service:
    async with sessions() as session:
        project_id = (await session.scalars(select(Project.id))).one()
    return Service(client, PlanWorld(sessions, database_url, tmp_path, project_id), encoder)


@pytest.mark.parametrize("words", [134, 284, 784, 1434])
@pytest.mark.parametrize("form", [as_chat, as_string])
async def test_what_is_asked_decides_and_no_shared_beginning(
    service: Service, form: Callable[[str, str], Any], words: int
) -> None:
    contents = [form(preamble(words), question) for question in QUESTIONS]
    shuffled = random.Random(words).sample(contents, len(contents))
    ways = {"batch": [contents], "singles": [[each] for each in contents], "shuffled": [shuffled]}
    for project, requests in ways.items():
        await service.client.post("/projects", json={"name": project})

        await service.send(project, *requests)

        assert sorted(map(sorted, await service.groups(project))) == sorted(
            [question] for question in QUESTIONS
        )


@pytest.mark.parametrize("form", [as_chat, as_string])
async def test_near_duplicates_are_found_under_a_shared_beginning(
    service: Service, form: Callable[[str, str], Any]
) -> None:
    both = [form(preamble(134), each) for pair in QUESTIONS.items() for each in pair]
    shuffled = random.Random(3).sample(both, len(both))
    ways = {"batch": [both], "halves": [both[::2], both[1::2]], "shuffled": [shuffled]}
    for project, requests in ways.items():
        await service.client.post("/projects", json={"name": project})

        await service.send(project, *requests)

        assert sorted(map(sorted, await service.groups(project))) == sorted(
            map(sorted, QUESTIONS.items())
        )


async def as_after_an_upgrade(service: Service) -> list[int]:
    """Two prompts that an older version has grouped by their whole texts, and its index."""
    first, second = list(QUESTIONS)[:2]
    world = service.world
    await service.send("default", [as_chat(preamble(134), each) for each in (first, second)])
    async with world.sessions.begin() as session:
        ids = list(await session.scalars(select(Prompt.id).order_by(Prompt.id)))
        await session.execute(update(Prompt).values(group_id=ids[0]))
        await session.execute(delete(QuestionEmbedding))
        await session.execute(delete(QuestionProgress))
        rows = (
            (await session.execute(select(PromptEmbedding).order_by("prompt_id"))).scalars().all()
        )
        owner = f"project {world.project_id} seed 7 in cluster {await cluster(session)}"
        await session.execute(update(Project).values(seed=7))
    index = VectorIndex(384)
    index.add(np.array(ids), from_bytes([row.vector for row in rows], 384))
    mark = Mark(Position(rows[-1].written_by, rows[-1].prompt_id), START.erased)
    delete_index(world.data_dir, world.project_id)
    snapshot.save(index_path(world.data_dir, world.project_id), index, mark, owner=owner)
    return ids


async def test_groups_that_are_fixed_stay_and_newcomers_are_compared_with_what_these_ask(
    service: Service,
) -> None:
    [leader, other] = await as_after_an_upgrade(service)
    await service.embed()
    asked = [QUESTIONS["Who wrote Hamlet?"], "What is a quark?"]

    await service.send("default", [as_chat(preamble(134), each) for each in asked])

    prompts = await service.world.prompts()
    assert [one.id for one in prompts[:2]] == [leader, other]
    assert [one.group_id for one in prompts] == [leader, leader, leader, prompts[3].id]


async def test_an_index_of_whole_prompts_is_not_taken_for_one_of_questions(
    service: Service,
) -> None:
    ids = await as_after_an_upgrade(service)

    path = index_path(service.world.data_dir, service.world.project_id)
    async with service.world.sessions() as session:
        place = f"project {service.world.project_id} seed 7 in cluster {await cluster(session)}"

    await service.world.plan()
    was_deleted = not path.exists()
    await service.embed()
    await service.world.plan()

    assert was_deleted
    saved = snapshot.load(path, owner=f"{place} by question {QUESTION_VERSION}", dimensions=384)
    assert saved is not None
    assert saved.index.ids().tolist() == ids


async def test_newcomers_wait_for_what_they_ask_to_be_embedded(
    service: Service, client: httpx.AsyncClient
) -> None:
    """As prompts that an older version has embedded, but not grouped."""
    await as_after_an_upgrade(service)
    async with service.world.sessions.begin() as session:
        await session.execute(update(Prompt).values(group_id=None))
        await session.execute(update(ProjectIntake).values(unplanned=2))
    [first, _] = (await client.get("/prompts")).json()["prompts"]

    async with service.world.planner() as planner:
        for _ in range(3):
            await planner.take_turns()
        waiting = await service.world.prompts()
        answer = await client.get(f"/prompts/{first['id']}/similar")
        await service.embed()
        await plan_all(planner)

    assert [one.group_id for one in waiting] == [None, None]
    assert answer.status_code == 409
    prompts = await service.world.prompts()
    assert [one.group_id for one in prompts] == [one.id for one in prompts]
    assert await service.world.unplanned() == 0


async def test_prompts_of_an_import_arrive_by_what_they_ask_once_it_has_ended(
    service: Service, client: httpx.AsyncClient
) -> None:
    asked = [as_chat(preamble(134), each) for each in list(QUESTIONS)[:2]]
    responses = [{"text": "One answer."}, {"text": "Quite another one."}]
    body = {"prompts": [{"prompt": each, "responses": responses} for each in asked]}
    await client.post("/prompts", json=body)
    await service.embed()
    async with service.world.sessions.begin() as session:
        running = Import(
            project_id=service.world.project_id, expires_at=datetime.now(UTC) + timedelta(days=1)
        )
        session.add(running)
        await session.flush()
        await session.execute(update(Prompt).values(import_id=running.id))

    await service.world.plan()
    waiting = await service.world.prompts()
    async with service.world.sessions.begin() as session:
        await session.execute(update(Import).values(expires_at=Import.started_at))
    await service.world.plan()

    assert [one.group_id for one in waiting] == [None, None]
    prompts = await service.world.prompts()
    assert [one.group_id for one in prompts] == [one.id for one in prompts]


async def test_similar_prompts_ask_something_similar(service: Service) -> None:
    asked = ["Name a planet.", "Who wrote Hamlet?", "Name any planet of the solar system."]
    await service.send("default", [as_chat(preamble(284), each) for each in asked])
    ids = [one.id for one in await service.world.prompts()]

    async with service.world.planner() as planner:
        await plan_all(planner)
        index = planner._projects[service.world.project_id].index
        found = await index.similar(ids[0], 2)

    assert [one for one, _ in found] == [ids[2], ids[1]]
    assert found[1][1] < 0.5
