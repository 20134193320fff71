"""What becomes of texts, and of a model, that cannot be embedded with."""

import asyncio
from collections.abc import Sequence

import numpy as np
import pytest
from numpy.typing import NDArray
from sqlalchemy import func, select, update
from sqlalchemy.exc import OperationalError

from app.embedder.process import Embedder, EncoderBroken
from app.embedding.cache import CachedEncoder, MemoryCache
from app.storage.ids import IdKind, encode
from app.storage.notifications import Channel, Listener
from app.storage.sessions import Sessions
from app.storage.tables import (
    ProjectIntake,
    Prompt,
    Response,
)
from tests.embedder.world import (
    DEADLINE_SECONDS,
    LetterEncoder,
    add_project,
    add_prompts,
    add_responses,
    all_ready,
    at_work,
    count_free,
    intake_counts,
    statuses,
    until,
    vectors_stored,
)


async def test_a_text_the_model_fails_on_holds_up_nobody(sessions: Sessions) -> None:
    project_id = await add_project(sessions, "p")
    contents = [(name, [f"{name} one", f"{name} two"]) for name in ("good", "bad", "fine")]
    good, bad, fine = await add_prompts(sessions, project_id, contents)
    encoder = LetterEncoder()
    encoder.fails_on = lambda text: text == "bad two"
    embedder = Embedder(encoder, sessions, 256)

    while await embedder.embed_batch():
        pass

    assert await statuses(sessions) == {good: "ready", bad: "failed", fine: "ready"}
    assert not any(content.startswith("bad") for content in await vectors_stored(sessions, 8))
    assert await intake_counts(sessions, project_id) == {"pending": 0, "failed": 1, "unplanned": 2}
    # It is not tried again by itself, by this process or a later one.
    assert await Embedder(LetterEncoder(), sessions, 256).embed_batch() == 0


async def test_a_failure_names_the_text_at_fault_and_never_holds_it(sessions: Sessions) -> None:
    class Talkative(LetterEncoder):
        def encode(self, texts: Sequence[str]) -> NDArray[np.float32]:
            if any(text.startswith("secret") for text in texts):
                raise ValueError(f"cannot take {texts}")
            return super().encode(texts)

    project_id = await add_project(sessions, "p")
    prompts = [("q", ["one", "secret two"]), ("secret q", ["one", "two"])]
    first, second = await add_prompts(sessions, project_id, prompts)

    await Embedder(Talkative(), sessions, 256).embed_batch()

    async with sessions() as session:
        response = await session.scalar(select(Response.id).where(Response.text == "secret two"))
        assert response is not None
        failures = dict((await session.execute(select(Prompt.id, Prompt.failure))).all())
    name = encode(IdKind.RESPONSE, response)
    assert failures == {
        first: f"the embedding model fails on the response {name} (ValueError)",
        second: "the embedding model fails on the prompt's own text (ValueError)",
    }


async def test_texts_that_fail_only_together_are_embedded_one_by_one(sessions: Sessions) -> None:
    class Small(LetterEncoder):
        def encode(self, texts: Sequence[str]) -> NDArray[np.float32]:
            if len(texts) > 1:
                raise MemoryError("too many at once")
            return super().encode(texts)

    project_id = await add_project(sessions, "p")
    await add_prompts(sessions, project_id, [("q", ["one", "two"]), ("r", ["three", "four"])])

    await Embedder(Small(), sessions, 256).embed_batch()

    assert await all_ready(sessions)()
    stored = await vectors_stored(sessions, 8)
    assert set(stored) == {"q", "one", "two", "r", "three", "four"}
    for content, vector in stored.items():
        assert vector @ LetterEncoder().vector(content) > 1 - 1e-3


async def test_a_prompt_with_nothing_to_embed_becomes_ready_beside_one_that_fails(
    sessions: Sessions,
) -> None:
    project_id = await add_project(sessions, "p")
    [done] = await add_prompts(sessions, project_id, [("q", ["one", "two"])])
    encoder = LetterEncoder()
    encoder.fails_on = lambda text: text == "bad"
    embedder = Embedder(encoder, sessions, 256)
    await embedder.embed_batch()
    async with sessions.begin() as session:
        await session.execute(update(Prompt).values(status="pending"))
        await session.execute(update(ProjectIntake).values(pending=1))
    [bad] = await add_prompts(sessions, project_id, [("r", ["good", "bad"])])

    await embedder.embed_batch()

    assert await statuses(sessions) == {done: "ready", bad: "failed"}


async def test_a_prompt_that_has_arrived_stays_counted_as_planned_when_it_fails(
    sessions: Sessions,
) -> None:
    project_id = await add_project(sessions, "p")
    [prompt_id] = await add_prompts(sessions, project_id, [("q", ["one", "two"])])
    encoder = LetterEncoder()
    encoder.fails_on = lambda text: text == "three"
    embedder = Embedder(encoder, sessions, 256)
    await embedder.embed_batch()
    async with sessions.begin() as session:  # as the planner and an addition leave it
        await add_responses(session, prompt_id, ["three"], first=2)
        await session.execute(update(Prompt).values(status="pending", group_id=prompt_id))
        await session.execute(update(ProjectIntake).values(pending=1, unplanned=0))

    await embedder.embed_batch()

    assert await statuses(sessions) == {prompt_id: "failed"}
    assert await intake_counts(sessions, project_id) == {"pending": 0, "failed": 1, "unplanned": 0}


async def test_a_failure_is_marked_with_its_whole_batch_or_not_at_all(sessions: Sessions) -> None:
    project_id = await add_project(sessions, "p")
    await add_prompts(sessions, project_id, [("q", ["one", "bad"]), ("r", ["two", "three"])])
    loop = asyncio.get_running_loop()

    async def is_at_work() -> bool:
        return bool(await at_work(sessions))

    async def cut() -> None:
        await until(is_at_work)
        async with sessions() as session:
            for pid in await at_work(sessions):
                await session.execute(select(func.pg_terminate_backend(pid)))

    class Cutting(LetterEncoder):
        cuts = True

        def encode(self, texts: Sequence[str]) -> NDArray[np.float32]:
            if texts == ["three"] and self.cuts:  # "bad" has failed by then
                self.cuts = False
                asyncio.run_coroutine_threadsafe(cut(), loop).result(DEADLINE_SECONDS)
            return super().encode(texts)

    encoder = Cutting()
    encoder.fails_on = lambda text: text == "bad"
    embedder = Embedder(encoder, sessions, 256)

    with pytest.raises(OperationalError):
        await embedder.embed_batch()
    assert await intake_counts(sessions, project_id) == {"pending": 2, "failed": 0, "unplanned": 2}
    assert set((await statuses(sessions)).values()) == {"pending"}
    await embedder.embed_batch()
    assert await intake_counts(sessions, project_id) == {"pending": 0, "failed": 1, "unplanned": 1}


async def test_a_failure_is_announced_to_those_who_wait_for_pairs(
    database_url: str, sessions: Sessions
) -> None:
    project_id = await add_project(sessions, "p")
    await add_prompts(sessions, project_id, [("q", ["one", "bad"])])
    encoder = LetterEncoder()
    encoder.fails_on = lambda text: text == "bad"
    async with Listener(database_url) as listener:
        with listener.subscribe(Channel.PLAN_CHANGED) as changed:
            await Embedder(encoder, sessions, 256).embed_batch()
            told = await changed.get(DEADLINE_SECONDS)
    assert told is not None
    assert told.payload == str(project_id)


async def test_a_model_that_fails_on_everything_ends_the_embedder_and_loses_nothing(
    sessions: Sessions,
) -> None:
    project_id = await add_project(sessions, "p")
    await add_prompts(sessions, project_id, [("q", ["one", "two"])] * 3)
    encoder = LetterEncoder()
    encoder.fails_on = lambda _: True
    embedder = Embedder(encoder, sessions, 256)
    with pytest.raises(EncoderBroken):
        await embedder.embed_batch()
    assert await intake_counts(sessions, project_id) == {"pending": 3, "failed": 0, "unplanned": 3}
    assert await count_free(sessions) == 3
    await Embedder(LetterEncoder(), sessions, 256).embed_batch()
    assert await all_ready(sessions)()


async def test_a_cache_does_not_answer_for_a_model_that_is_broken(sessions: Sessions) -> None:
    project_id = await add_project(sessions, "p")
    encoder = LetterEncoder()
    embedder = Embedder(CachedEncoder(encoder, MemoryCache(1_000_000)), sessions, 256)
    encoder.fails_on = lambda text: text == "bad"
    await add_prompts(sessions, project_id, [("q", ["good", "bad"])])
    await embedder.embed_batch()
    # The model was asked whether it still works, and did.
    assert set((await statuses(sessions)).values()) == {"failed"}
    encoder.fails_on = lambda _: True
    await add_prompts(sessions, project_id, [("r", ["new", "newer"])])
    with pytest.raises(EncoderBroken):
        await embedder.embed_batch()
