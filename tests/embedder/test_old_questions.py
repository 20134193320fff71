"""Prompts that were embedded before questions were get the vectors of their questions later."""

import asyncio
import threading
from collections.abc import Sequence

import numpy as np
import pytest
from numpy.typing import NDArray
from sqlalchemy import delete, func, select, text, update
from sqlalchemy.dialects.postgresql import insert

from app.embedder.process import Embedder
from app.embedder.queries import questions as queries
from app.embedding.load import load_encoder
from app.embedding.unit import from_bytes
from app.prompts.question import QUESTION_VERSION
from app.storage.notifications import Channel, Listener
from app.storage.sessions import Sessions
from app.storage.tables import Project, Prompt, PromptEmbedding, QuestionEmbedding, QuestionProgress
from tests.embedder.world import (
    DEADLINE_SECONDS,
    LetterEncoder,
    add_project,
    add_prompts,
    embedder_process,
    until,
)
from tests.support.indexes import indexes

DIMENSIONS = 8


def chats(count: int) -> list[tuple[object, list[str]]]:
    """Prompts whose question is not their whole text."""
    return [
        ([{"role": "user", "content": f"question {number}"}], [f"a{number}", f"b{number}"])
        for number in range(count)
    ]


async def embed_all(embedder: Embedder) -> None:
    while await embedder.embed_batch() or await embedder.embed_old_questions():
        pass


async def forget_questions(sessions: Sessions) -> None:
    """As a version leaves the database that embeds no questions."""
    async with sessions.begin() as session:
        await session.execute(delete(QuestionEmbedding))
        await session.execute(delete(QuestionProgress))


async def old_prompts(sessions: Sessions, count: int, name: str = "p") -> tuple[int, list[int]]:
    """A project and its prompts, which have vectors, but none of their questions."""
    project_id = await add_project(sessions, name)
    ids = await add_prompts(sessions, project_id, chats(count))
    await embed_all(Embedder(LetterEncoder(), sessions, 10_000))
    await forget_questions(sessions)
    return project_id, ids


async def questions(sessions: Sessions) -> dict[int, tuple[int, NDArray[np.float32]]]:
    """The version and the vector of each question, by its prompt."""
    async with sessions() as session:
        rows = await session.scalars(select(QuestionEmbedding).order_by("prompt_id"))
        return {
            row.prompt_id: (row.version, from_bytes([row.vector], DIMENSIONS)[0]) for row in rows
        }


async def test_a_new_prompt_gets_the_vector_of_its_question_with_its_own(
    sessions: Sessions,
) -> None:
    project_id = await add_project(sessions, "p")
    chat = [{"role": "system", "content": "Be kind."}, {"role": "user", "content": "Hi"}]
    [first, second] = await add_prompts(
        sessions, project_id, [(chat, ["a", "b"]), ("Name a planet.", ["c", "d"])]
    )
    encoder = LetterEncoder()

    await Embedder(encoder, sessions, 256).embed_batch()

    found = await questions(sessions)
    for prompt_id, asked in ((first, "Hi"), (second, "Name a planet.")):
        version, vector = found[prompt_id]
        assert version == QUESTION_VERSION
        np.testing.assert_allclose(vector, encoder.vector(asked), atol=1e-3)


async def test_a_long_question_has_the_mean_of_its_ends(sessions: Sessions) -> None:
    project_id = await add_project(sessions, "p")
    long = " ".join(f"word{number}" for number in range(200))
    [prompt_id] = await add_prompts(sessions, project_id, [(long, ["a", "b"])])
    encoder = LetterEncoder()

    await Embedder(encoder, sessions, 256).embed_batch()

    ends = [
        encoder.vector(each) for each in encoder.encoded if each != long and long.endswith(each)
    ]
    assert len(ends) == 2
    mean = sum(ends) / np.linalg.norm(sum(ends))
    np.testing.assert_allclose((await questions(sessions))[prompt_id][1], mean, atol=1e-3)


async def test_old_prompts_get_the_vectors_of_their_questions_a_batch_at_a_time(
    sessions: Sessions,
) -> None:
    _, ids = await old_prompts(sessions, 25)
    encoder = LetterEncoder()
    embedder = Embedder(encoder, sessions, batch_texts=20)

    assert await embedder.embed_batch() == 0
    assert await embedder.embed_old_questions() == 10
    assert list(await questions(sessions)) == ids[:10]
    assert await embedder.embed_old_questions() == 10
    assert await embedder.embed_old_questions() == 5
    assert await embedder.embed_old_questions() == 0

    found = await questions(sessions)
    assert list(found) == ids
    assert sorted(encoder.encoded) == sorted(f"question {number}" for number in range(25))
    for number, prompt_id in enumerate(ids):
        wanted = encoder.vector(f"question {number}")
        np.testing.assert_allclose(found[prompt_id][1], wanted, atol=1e-3)


async def test_prompts_that_wait_for_their_vector_come_first(sessions: Sessions) -> None:
    project_id, ids = await old_prompts(sessions, 5)
    new = await add_prompts(sessions, project_id, [("new", ["one", "two"])])

    await Embedder(LetterEncoder(), sessions, 256).embed_batch()

    assert list(await questions(sessions)) == new
    await embed_all(Embedder(LetterEncoder(), sessions, 256))
    assert list(await questions(sessions)) == sorted(ids + new)


async def test_a_question_of_an_older_version_is_embedded_anew(sessions: Sessions) -> None:
    project_id = await add_project(sessions, "p")
    ids = await add_prompts(sessions, project_id, chats(3))
    await embed_all(Embedder(LetterEncoder(), sessions, 256))
    async with sessions.begin() as session:
        older = {"version": QUESTION_VERSION - 1}
        wrong = np.full(DIMENSIONS, 0.1, dtype="<f2").tobytes()
        await session.execute(update(QuestionEmbedding).values(vector=wrong, **older))
        await session.execute(update(QuestionProgress).values(**older))
        before = set(await session.scalars(select(QuestionEmbedding.written_by)))
    encoder = LetterEncoder()

    await embed_all(Embedder(encoder, sessions, 256))

    found = await questions(sessions)
    assert {version for version, _ in found.values()} == {QUESTION_VERSION}
    for number, prompt_id in enumerate(ids):
        wanted = encoder.vector(f"question {number}")
        np.testing.assert_allclose(found[prompt_id][1], wanted, atol=1e-3)
    async with sessions() as session:
        # A planner reads in the order of these numbers.
        after = set(await session.scalars(select(QuestionEmbedding.written_by)))
    assert not before & after


async def test_a_question_of_a_newer_version_is_left_alone(sessions: Sessions) -> None:
    await old_prompts(sessions, 3)
    await embed_all(Embedder(LetterEncoder(), sessions, 256))
    async with sessions.begin() as session:
        newer = {"version": QUESTION_VERSION + 1}
        await session.execute(update(QuestionEmbedding).values(**newer))
        await session.execute(update(QuestionProgress).values(**newer))
    encoder = LetterEncoder()

    await embed_all(Embedder(encoder, sessions, 256))

    assert encoder.encoded == []
    assert {version for version, _ in (await questions(sessions)).values()} == {newer["version"]}


async def test_a_prompt_that_an_older_embedder_embeds_later_is_not_passed_over(
    sessions: Sessions,
) -> None:
    """The transaction that wrote its vector began before those that have been looked at."""
    project_id, ids = await old_prompts(sessions, 3)
    [late] = await add_prompts(sessions, project_id, [("late", ["one", "two"])])
    embedder = Embedder(LetterEncoder(), sessions, 256)
    async with sessions() as older:
        vector = np.full(DIMENSIONS, 0.3, dtype="<f2").tobytes()
        row = {"prompt_id": late, "project_id": project_id, "vector": vector}
        await older.execute(insert(PromptEmbedding).values(row))
        await older.execute(update(Prompt).where(Prompt.id == late).values(status="ready"))
        await embedder.embed_old_questions()
        await older.commit()

    await embed_all(embedder)

    assert list(await questions(sessions)) == [*ids, late]


async def test_embedders_share_projects_and_do_nothing_twice(sessions: Sessions) -> None:
    first = await add_project(sessions, "first")
    second = await add_project(sessions, "second")
    for project_id in (first, second):
        await add_prompts(sessions, project_id, chats(4))
    await embed_all(Embedder(LetterEncoder(), sessions, 10_000))
    await forget_questions(sessions)
    both_at_work = threading.Barrier(2)

    class Paired(LetterEncoder):
        def encode(self, texts: Sequence[str]) -> NDArray[np.float32]:
            both_at_work.wait(DEADLINE_SECONDS)
            return super().encode(texts)

    encoders = [Paired(), Paired()]
    embedders = [Embedder(encoder, sessions, 256) for encoder in encoders]

    assert await asyncio.gather(*(each.embed_old_questions() for each in embedders)) == [4, 4]

    assert [sorted(each.encoded) for each in encoders] == 2 * [
        [f"question {number}" for number in range(4)]
    ]
    assert len(await questions(sessions)) == 8


async def test_a_prompt_that_is_erased_meanwhile_is_passed_over(sessions: Sessions) -> None:
    _, ids = await old_prompts(sessions, 4)
    loop = asyncio.get_running_loop()

    async def erase() -> None:
        async with sessions.begin() as session:
            await session.execute(delete(Prompt).where(Prompt.id == ids[1]))

    class Interrupted(LetterEncoder):
        def encode(self, texts: Sequence[str]) -> NDArray[np.float32]:
            if not self.encoded:
                asyncio.run_coroutine_threadsafe(erase(), loop).result(DEADLINE_SECONDS)
            return super().encode(texts)

    await embed_all(Embedder(Interrupted(), sessions, 256))

    assert list(await questions(sessions)) == [ids[0], *ids[2:]]


async def test_a_prompt_whose_erasure_is_taken_back_is_embedded_after_all(
    sessions: Sessions,
) -> None:
    _, ids = await old_prompts(sessions, 4)
    embedder = Embedder(LetterEncoder(), sessions, 256)
    async with sessions() as eraser:
        await eraser.execute(select(Prompt.id).where(Prompt.id == ids[2]).with_for_update())

        assert await embedder.embed_old_questions() == 2
        assert await embedder.embed_old_questions() == 0

        await eraser.rollback()
    await embed_all(embedder)

    assert list(await questions(sessions)) == ids


async def test_a_question_that_the_model_fails_on_holds_up_nobody(sessions: Sessions) -> None:
    _, ids = await old_prompts(sessions, 4)
    encoder = LetterEncoder()
    encoder.fails_on = lambda text: text == "question 1"

    await embed_all(Embedder(encoder, sessions, 256))

    assert list(await questions(sessions)) == [ids[0], *ids[2:]]


async def test_projects_of_another_model_or_of_callers_vectors_are_left_alone(
    sessions: Sessions,
) -> None:
    other, _ = await old_prompts(sessions, 2, "other")
    callers, _ = await old_prompts(sessions, 2, "callers")
    async with sessions.begin() as session:
        for project_id, changed in (
            (other, {"embedding_model": "digits"}),
            (callers, {"embedding_source": "caller", "embedding_model": None}),
        ):
            await session.execute(update(Project).where(Project.id == project_id).values(**changed))

    assert await Embedder(LetterEncoder(), sessions, 256).embed_old_questions() == 0

    assert await questions(sessions) == {}


async def test_a_batch_of_questions_is_announced_to_the_planner(
    database_url: str, sessions: Sessions
) -> None:
    project_id, _ = await old_prompts(sessions, 2)
    async with Listener(database_url) as listener:
        with listener.subscribe(Channel.PROMPTS_READY) as ready:
            await Embedder(LetterEncoder(), sessions, 256).embed_old_questions()
            told = await ready.get(DEADLINE_SECONDS)
    assert told is not None
    assert told.payload == str(project_id)


@pytest.mark.e2e
async def test_killed_embedders_leave_the_rest_to_the_next(
    database_url: str, sessions: Sessions
) -> None:
    encoder = load_encoder(None, "cpu")
    project_id = await add_project(sessions, "p")
    ids = await add_prompts(sessions, project_id, chats(600))
    await embed_all(Embedder(LetterEncoder(encoder.name, encoder.dimensions), sessions, 10_000))
    await forget_questions(sessions)

    async def count() -> int:
        async with sessions() as session:
            return await session.scalar(select(func.count(QuestionEmbedding.prompt_id))) or 0

    for goal in (1, 300, 600):
        with embedder_process(database_url):

            async def enough(goal: int = goal) -> bool:
                return await count() >= goal

            await until(enough)

    async with sessions() as session:
        rows = (await session.scalars(select(QuestionEmbedding).order_by("prompt_id"))).all()
    assert [row.prompt_id for row in rows] == ids
    for number in (0, 299, 599):
        [vector] = from_bytes([rows[number].vector], encoder.dimensions)
        np.testing.assert_allclose(vector, encoder.encode([f"question {number}"])[0], atol=1e-3)


@pytest.mark.parametrize("query", [queries._CLAIM_PROGRESS, queries._EMBEDDED_AFTER])
async def test_old_prompts_are_found_by_an_index(sessions: Sessions, query: object) -> None:
    project_id, _ = await old_prompts(sessions, 300)
    await embed_all(Embedder(LetterEncoder(), sessions, 10_000))
    async with sessions() as session:
        await session.execute(text("ANALYZE"))
        parameters = {
            "project_id": project_id, "model": "letters", "version": QUESTION_VERSION,
            "written_by": "0", "prompt_id": 0, "limit": 10,
        }  # fmt: skip
        assert "ix_prompt_embeddings_catch_up" in await indexes(session, query, parameters)  # type: ignore[arg-type]  # pytest forgets the type
