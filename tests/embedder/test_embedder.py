import asyncio
import contextlib
import signal
import threading
from collections.abc import Sequence
from typing import Any

import numpy as np
import pytest
import structlog
from numpy.typing import NDArray
from sqlalchemy import func, select, update

from app.embedder.process import Embedder, slices_by_length, with_cache
from app.embedder.queries.pending import adopt_projects, claim_prompts, find_other_models
from app.embedding.cache import CachedEncoder, MemoryCache
from app.embedding.encoder import Encoder
from app.embedding.load import load_encoder
from app.settings import Settings
from app.storage.notifications import Channel, Listener
from app.storage.sessions import Sessions
from app.storage.tables import (
    Project,
    ProjectIntake,
    Prompt,
    Response,
    ResponseEmbedding,
)
from tests.embedder.world import (
    DEADLINE_SECONDS,
    LONG,
    LetterEncoder,
    add_project,
    add_prompts,
    add_responses,
    all_ready,
    at_work,
    count_free,
    embedder_process,
    pending_count,
    running,
    statuses,
    until,
    vectors_stored,
)


async def test_pending_texts_get_their_vectors_and_their_prompts_become_ready(
    sessions: Sessions,
) -> None:
    project_id = await add_project(sessions, "p")
    await add_prompts(sessions, project_id, [("Explain DPO.", ["a loss", "a party"])])
    encoder = load_encoder(None, "cpu")

    assert await Embedder(encoder, sessions, 256).embed_batch() == 1

    stored = await vectors_stored(sessions, 384)
    assert set(stored) == {"Explain DPO.", "a loss", "a party"}
    for content, vector in stored.items():
        assert vector @ encoder.encode([content])[0] > 1 - 1e-5
    assert set((await statuses(sessions)).values()) == {"ready"}
    assert await pending_count(sessions, project_id) == 0
    async with sessions() as session:
        project = await session.get_one(Project, project_id)
        assert (project.embedding_model, project.embedding_dimensions) == (encoder.name, 384)


async def test_chat_messages_are_embedded_as_their_turns_and_what_they_ask(
    sessions: Sessions,
) -> None:
    project_id = await add_project(sessions, "p")
    chat = [{"role": "system", "content": "Be kind."}, {"role": "user", "content": "Hi"}]
    await add_prompts(sessions, project_id, [(chat, ["hello", "hey"])])
    encoder = LetterEncoder()
    await Embedder(encoder, sessions, 256).embed_batch()
    texts = ["Hi", "hello", "hey", "system: Be kind.\n\nuser: Hi"]
    assert sorted(encoder.encoded) == texts


async def test_tool_calls_are_embedded_below_their_texts(sessions: Sessions) -> None:
    project_id = await add_project(sessions, "p")
    calls = [{"id": "c", "function": {"name": "look", "arguments": '{"b": 2, "a": "x"}'}}]
    chat: list[dict[str, Any]] = [
        {"role": "user", "content": "Hi"},
        {"role": "assistant", "content": None, "tool_calls": calls},
        {"role": "tool", "content": "found", "tool_call_id": "c"},
    ]
    (prompt_id,) = await add_prompts(sessions, project_id, [(chat, ["hello"])])
    async with sessions.begin() as session:
        session.add(Response(prompt_id=prompt_id, position=1, text="", tool_calls=calls))
        session.add(Response(prompt_id=prompt_id, position=2, text="Well:", tool_calls=calls))
    encoder = LetterEncoder()
    await Embedder(encoder, sessions, 256).embed_batch()
    call = 'look({"a": "x", "b": 2})'
    assert set(encoder.encoded) == {
        *("Hi", "hello", call, f"Well:\n{call}"),
        f"user: Hi\n\nassistant: {call}\n\ntool: found",
    }


async def test_only_texts_without_a_vector_are_embedded(sessions: Sessions) -> None:
    project_id = await add_project(sessions, "p")
    [prompt_id] = await add_prompts(sessions, project_id, [("q", ["one", "two"])])
    encoder = LetterEncoder()
    embedder = Embedder(encoder, sessions, 256)
    await embedder.embed_batch()
    async with sessions.begin() as session:
        await add_responses(session, prompt_id, ["three"], first=2)
        await session.execute(update(Prompt).values(status="pending"))
        await session.execute(update(ProjectIntake).values(pending=1))

    await embedder.embed_batch()

    assert sorted(encoder.encoded) == ["one", "q", "three", "two"]
    assert set(await vectors_stored(sessions, 8)) == {"one", "q", "three", "two"}
    assert (await statuses(sessions))[prompt_id] == "ready"
    assert await pending_count(sessions, project_id) == 0


async def test_a_response_added_while_its_prompt_is_embedded_keeps_the_prompt_pending(
    sessions: Sessions,
) -> None:
    project_id = await add_project(sessions, "p")
    [prompt_id] = await add_prompts(sessions, project_id, [("q", ["one", "two"])])
    loop = asyncio.get_running_loop()

    async def add_a_third() -> None:
        async with sessions.begin() as session:
            await add_responses(session, prompt_id, ["three"], first=2)

    class Interrupted(LetterEncoder):
        def encode(self, texts: Sequence[str]) -> NDArray[np.float32]:
            if not self.encoded:
                asyncio.run_coroutine_threadsafe(add_a_third(), loop).result(DEADLINE_SECONDS)
            return super().encode(texts)

    embedder = Embedder(Interrupted(), sessions, 256)
    await embedder.embed_batch()
    assert (await statuses(sessions))[prompt_id] == "pending"
    assert await pending_count(sessions, project_id) == 1
    await embedder.embed_batch()
    assert (await statuses(sessions))[prompt_id] == "ready"
    assert await pending_count(sessions, project_id) == 0


async def test_prompts_that_become_ready_are_announced_with_their_projects(
    database_url: str, sessions: Sessions
) -> None:
    first = await add_project(sessions, "first")
    second = await add_project(sessions, "second")
    for project_id in (first, second):
        await add_prompts(sessions, project_id, [("q", ["one", "two"])] * 2)
    async with Listener(database_url) as listener:
        with listener.subscribe(Channel.PROMPTS_READY) as ready:
            await Embedder(LetterEncoder(), sessions, 256).embed_batch()
            told = [await ready.get(DEADLINE_SECONDS) for _ in range(2)]
    assert {received.payload for received in told if received} == {str(first), str(second)}


@pytest.mark.parametrize(
    ("batch_texts", "claimed"), [(1, 1), (64, 1), (130, 22), (256, 64), (10_000, 80)]
)
async def test_a_batch_claims_at_most_so_many_texts_but_at_least_one_prompt(
    sessions: Sessions, batch_texts: int, claimed: int
) -> None:
    project_id = await add_project(sessions, "p")
    await add_prompts(sessions, project_id, [(f"q{i}", ["one", "two"]) for i in range(80)])
    encoder = LetterEncoder()
    assert await Embedder(encoder, sessions, batch_texts).embed_batch() == claimed
    assert len(encoder.encoded) == 3 * claimed
    assert len(encoder.encoded) <= max(batch_texts, 3)


async def test_long_texts_make_smaller_batches(sessions: Sessions) -> None:
    project_id = await add_project(sessions, "p")
    texts = ["x" * 99_000, "y" * 99_000]
    await add_prompts(sessions, project_id, [(f"q{i}", texts) for i in range(20)])
    assert await Embedder(LetterEncoder(), sessions, 256).embed_batch() < 10


async def test_the_oldest_prompts_come_first(sessions: Sessions) -> None:
    project_id = await add_project(sessions, "p")
    ids = await add_prompts(sessions, project_id, [(f"q{i}", ["one", "two"]) for i in range(70)])
    claimed = await Embedder(LetterEncoder(), sessions, 130).embed_batch()
    ready = [i for i, status in (await statuses(sessions)).items() if status == "ready"]
    assert sorted(ready) == ids[:claimed]


async def test_two_embedders_share_the_work_and_do_nothing_twice(sessions: Sessions) -> None:
    project_id = await add_project(sessions, "p")
    prompts = [(f"q{i}", [f"a{i}", f"b{i}"]) for i in range(200)]
    await add_prompts(sessions, project_id, prompts)
    both_at_work = threading.Barrier(2)

    class Paired(LetterEncoder):
        def encode(self, texts: Sequence[str]) -> NDArray[np.float32]:
            if not self.encoded:
                both_at_work.wait(DEADLINE_SECONDS)
            return super().encode(texts)

    encoders = [Paired(), Paired()]

    async def work(encoder: Encoder) -> None:
        embedder = Embedder(encoder, sessions, 130)
        while await embedder.embed_batch():
            pass

    await asyncio.gather(*map(work, encoders))
    encoded = encoders[0].encoded + encoders[1].encoded
    assert sorted(encoded) == sorted(t for q, texts in prompts for t in (q, *texts))
    assert await all_ready(sessions)()
    assert await pending_count(sessions, project_id) == 0


async def test_projects_of_another_model_or_length_or_of_callers_vectors_are_left_alone(
    sessions: Sessions,
) -> None:
    ours = await add_project(sessions, "ours")
    others = [await add_project(sessions, name) for name in ("another-model", "another-length")]
    callers = await add_project(sessions, "callers", source="caller")
    async with sessions.begin() as session:
        await session.execute(
            update(Project)
            .where(Project.id == others[0])
            .values(embedding_model="digits", embedding_dimensions=8)
        )
        await session.execute(
            update(Project).where(Project.id == others[1]).values(embedding_dimensions=9)
        )
    expected = {}
    for project_id in (*others, callers, ours):
        [prompt_id] = await add_prompts(sessions, project_id, [("q", ["one", "two"])])
        expected[prompt_id] = "ready" if project_id == ours else "pending"
    embedder = Embedder(LetterEncoder(), sessions, 256)

    while await embedder.embed_batch():
        pass

    assert await statuses(sessions) == expected
    assert [await pending_count(sessions, project_id) for project_id in others] == [1, 1]


async def test_a_project_of_another_model_is_reported_once(sessions: Sessions) -> None:
    project_id = await add_project(sessions, "other")
    async with sessions.begin() as session:
        await session.execute(
            update(Project).where(Project.id == project_id).values(embedding_model="digits")
        )
    await add_prompts(sessions, project_id, [("q", ["one", "two"])])
    embedder = Embedder(LetterEncoder(), sessions, 256)

    with structlog.testing.capture_logs() as logs:
        await embedder.embed_batch()
        await embedder.embed_batch()

    errors = [(log["project"], log["its_model"]) for log in logs if log["log_level"] == "error"]
    assert errors == [("other", "digits")]


async def test_a_project_that_is_not_bound_to_a_model_yet_is_not_reported(
    sessions: Sessions,
) -> None:
    """Its first texts may arrive after an embedder bound all projects that it saw."""
    async with sessions.begin() as session:
        await adopt_projects(session, "letters", 8)
        project_id = await add_project(sessions, "new")
        await add_prompts(sessions, project_id, [("q", ["one", "two"])])

        assert await find_other_models(session, "letters") == []

    assert await Embedder(LetterEncoder(), sessions, 256).embed_batch() == 1


async def test_texts_that_come_again_cost_the_model_nothing(sessions: Sessions) -> None:
    encoder = LetterEncoder()
    embedder = Embedder(CachedEncoder(encoder, MemoryCache(1_000_000)), sessions, 256)
    for name in ("p", "again"):
        project_id = await add_project(sessions, name)
        await add_prompts(sessions, project_id, [("q", ["one", "two"])])
        await embedder.embed_batch()
    assert await all_ready(sessions)()
    assert sorted(encoder.encoded) == ["one", "q", "two"]
    assert len(await vectors_stored(sessions, 8)) == 3


@pytest.mark.parametrize(
    ("settings_given", "is_cached"),
    [
        ({}, True),
        ({"embedding_cache_megabytes": 0}, False),
        ({"redis_url": "redis://127.0.0.1:1/0"}, True),
        ({"redis_url": "redis://127.0.0.1:1/0", "embedding_cache_seconds": 0}, False),
    ],
)
def test_a_cache_may_be_left_out(settings_given: dict[str, object], is_cached: bool) -> None:
    encoder = LetterEncoder()
    behind = with_cache(encoder, Settings.model_validate(settings_given))
    assert isinstance(behind, CachedEncoder) == is_cached
    assert behind.encode(["one"]).shape == (1, 8)


async def test_a_running_embedder_embeds_what_comes(settings: Settings, sessions: Sessions) -> None:
    project_id = await add_project(sessions, "p")
    async with running(settings, sessions):
        for i in range(3):
            await add_prompts(sessions, project_id, [(f"q{i}", ["one", "two"])])
            await until(all_ready(sessions))
    assert await pending_count(sessions, project_id) == 0


async def test_a_cancelled_embedder_frees_its_batch_at_once(
    settings: Settings, sessions: Sessions
) -> None:
    project_id = await add_project(sessions, "p")
    await add_prompts(sessions, project_id, [(f"q{i}", [LONG, LONG + "!"]) for i in range(8)])
    async with running(settings, sessions) as task:

        async def working() -> bool:
            return bool(await at_work(sessions))

        await until(working)
        task.cancel()
        with contextlib.suppress(asyncio.CancelledError):
            await task
    assert await count_free(sessions) == 8
    assert await vectors_stored(sessions, 384) == {}


async def test_an_embedder_whose_connections_are_cut_goes_on(
    settings: Settings, sessions: Sessions
) -> None:
    project_id = await add_project(sessions, "p")
    await add_prompts(sessions, project_id, [("q", [LONG[:4000], LONG])])
    async with running(settings, sessions) as task:

        async def cut() -> bool:
            pids = await at_work(sessions)
            async with sessions() as session:
                for pid in pids:
                    await session.execute(select(func.pg_terminate_backend(pid)))
            return bool(pids)

        await until(cut)
        await until(all_ready(sessions))
        assert not task.done()
    assert await pending_count(sessions, project_id) == 0
    assert len(await vectors_stored(sessions, 384)) == 3


@pytest.mark.e2e
@pytest.mark.parametrize(
    ("asked", "status"), [(signal.SIGKILL, -signal.SIGKILL), (signal.SIGTERM, 0)]
)
async def test_a_batch_of_a_killed_or_stopped_embedder_is_free_at_once_and_nothing_is_lost(
    database_url: str, sessions: Sessions, asked: signal.Signals, status: int
) -> None:
    project_id = await add_project(sessions, "p")
    await add_prompts(sessions, project_id, [(f"q{i}", [LONG, LONG + "!"]) for i in range(8)])
    with embedder_process(database_url) as process:

        async def working() -> bool:
            assert process.poll() is None
            return bool(await at_work(sessions))

        await until(working)
        process.send_signal(asked)
        assert await asyncio.to_thread(process.wait, DEADLINE_SECONDS) == status

    async def free() -> bool:
        return await count_free(sessions) == 8

    await until(free)
    assert await vectors_stored(sessions, 384) == {}
    async with sessions.begin() as session:
        # The dead process' model is known, and another process of the same model goes on.
        name = await session.scalar(select(Project.embedding_model).where(Project.id == project_id))
        assert name
        claimed = await claim_prompts(session, name, after_id=0, limit=100)
        assert [len(prompt.texts) for prompt in claimed] == [3] * 8
    await Embedder(LetterEncoder(name, 384), sessions, 10_000).embed_batch()
    assert await all_ready(sessions)()
    assert await pending_count(sessions, project_id) == 0
    async with sessions() as session:
        assert await session.scalar(select(func.count()).select_from(ResponseEmbedding)) == 16


def test_slices_hold_every_text_once_by_rising_length() -> None:
    texts = ["x" * length for length in (5, 70_000, 90_000, 1, 20_000, 100_000, 0)]
    slices = slices_by_length(texts)
    assert slices == [[6, 3, 0, 4, 1], [2], [5]]
    assert slices_by_length([]) == []
