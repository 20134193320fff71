"""The embedder: a process that holds torch, and turns pending texts into vectors.

A batch of prompts is claimed, embedded and stored in one transaction. If an embedder dies, the
database frees its batch at once for another; nothing is left half done.
"""

import asyncio
import secrets
import time
from collections.abc import Sequence
from dataclasses import dataclass, field

import numpy as np
import structlog
from numpy.typing import NDArray
from sqlalchemy.exc import InterfaceError, OperationalError
from sqlalchemy.ext.asyncio import AsyncSession

from app.embedder.queries import pending, questions
from app.embedder.queries.pending import PendingPrompt, Vector
from app.embedder.styles import StyleFiller, store_styles
from app.embedding.cache import Cache, CachedEncoder, MemoryCache, RedisCache
from app.embedding.encoder import Encoder
from app.embedding.load import load_encoder
from app.embedding.unit import mean_direction
from app.errors import CommandFailed
from app.prompts.question import QUESTION_CHARACTERS
from app.settings import MAX_RESPONSES, Settings
from app.storage.engine import create_engine, session_factory
from app.storage.ids import IdKind, encode
from app.storage.notifications import Channel, Listener, Subscription, notify
from app.storage.sessions import Sessions

MAX_TEXTS_PER_PROMPT = MAX_RESPONSES + 1 + len(QUESTION_CHARACTERS)
"""The responses, the prompt, and what it asks."""
CHARACTERS_PER_TEXT = 2_000
"""The limit of a batch in characters, a text of its limit in texts."""
_SLICE_CHARACTERS = 100_000
_FIRST_BACKOFF_SECONDS = 0.5
_MAX_BACKOFF_SECONDS = 30.0
_MEGABYTE = 1024 * 1024
_PROBE = "Does the model still answer?"

log = structlog.get_logger()


class EncoderBroken(CommandFailed):
    """The model fails on every text: this process is of no more use."""


async def run(settings: Settings, url: str) -> None:
    """Embed pending texts, now and as they arrive, until cancelled.

    A cancelled embedder rolls its batch back at once. If the database is gone, it waits for it.

    Raises:
        ModelUnusable: the embedding model cannot be loaded.
        EncoderBroken: the model has stopped working; a new process may succeed.
    """
    engine = create_engine(url, pool_size=1)
    try:
        async with Listener(url) as listener:
            with listener.subscribe(Channel.TEXTS_PENDING) as announced:
                encoder = with_cache(await _load(settings), settings)
                embedder = Embedder(
                    encoder, session_factory(engine), settings.embedding_batch_texts
                )
                await _work(embedder, announced, settings.poll_seconds)
    finally:
        await engine.dispose()


async def _load(settings: Settings) -> Encoder:
    started = time.monotonic()
    encoder = await asyncio.to_thread(
        load_encoder, settings.embedding_model, settings.embedding_device
    )
    log.info(
        "embedding model loaded",
        model=encoder.name,
        dimensions=encoder.dimensions,
        seconds=round(time.monotonic() - started, 2),
    )
    return encoder


def with_cache(encoder: Encoder, settings: Settings) -> Encoder:
    """The encoder behind a cache: in Redis if there is one, otherwise in this process."""
    cache: Cache
    if settings.redis_url is not None:
        if not settings.embedding_cache_seconds:
            return encoder
        cache = RedisCache(str(settings.redis_url), settings.embedding_cache_seconds)
    else:
        if not settings.embedding_cache_megabytes:
            return encoder
        cache = MemoryCache(settings.embedding_cache_megabytes * _MEGABYTE)
    return CachedEncoder(encoder, cache)


async def _work(embedder: "Embedder", announced: Subscription, poll_seconds: float) -> None:
    styles = StyleFiller(embedder.sessions)
    backoff_seconds = _FIRST_BACKOFF_SECONDS
    while True:
        try:
            # Prompts that wait for a vector come before those that only lack something else.
            while (
                await embedder.embed_batch()
                or await embedder.embed_old_questions()
                or await styles.fill_batch()
            ):
                backoff_seconds = _FIRST_BACKOFF_SECONDS
        except (OperationalError, InterfaceError) as error:
            # The batch was rolled back with its connection, so its prompts are still pending.
            log.warning("the database does not answer", error=str(error.orig).strip())
            await asyncio.sleep(backoff_seconds)
            backoff_seconds = min(2 * backoff_seconds, _MAX_BACKOFF_SECONDS)
            continue
        if await announced.get(poll_seconds):
            while await announced.get(0):
                pass  # the next batch serves everything that was announced until now


@dataclass(slots=True)
class Batch:
    """What became of the prompts of a batch."""

    done: list[tuple[PendingPrompt, NDArray[np.float32]]] = field(default_factory=list)
    """Prompts with the vectors of their texts, ``(texts, dimensions)``."""
    failures: dict[int, str] = field(default_factory=dict)
    """Prompts, by id, that the model fails on although it works on other texts, and why."""


@dataclass
class Embedder:
    """Embeds pending texts of one database with one model."""

    encoder: Encoder
    sessions: Sessions
    batch_texts: int
    _reported: set[int] = field(default_factory=set)

    async def embed_batch(self) -> int:
        """Embed one batch of pending prompts; return how many were claimed, 0 if none is pending.

        Raises:
            EncoderBroken: the model fails on every text; the batch was rolled back.
        """
        await self._adopt()
        started = time.monotonic()
        async with self.sessions.begin() as session:
            claimed = await self._claim(session)
            if not claimed:
                return 0
            batch = await self._embed(claimed)
            await _store(session, batch)
        log.info(
            "embedded",
            prompts=len(batch.done),
            texts=sum(len(prompt.texts) for prompt, _ in batch.done),
            seconds=round(time.monotonic() - started, 2),
        )
        return len(claimed)

    async def embed_old_questions(self) -> int:
        """Embed what prompts ask that an older service has embedded: one batch of one project.

        Returns:
            How many prompts it has looked at; 0 if none is left that no other embedder is at.

        Raises:
            EncoderBroken: the model fails on every text; the batch was rolled back.
        """
        async with self.sessions.begin() as session:
            await questions.open_progress(session, self.encoder.name)
        async with self.sessions.begin() as session:
            limit = max(1, self.batch_texts // len(QUESTION_CHARACTERS))
            claimed = await questions.claim_old_prompts(session, self.encoder.name, limit=limit)
            if claimed is None:
                return 0
            unfilled = claimed.without_question
            batch = await self._embed(unfilled) if unfilled else Batch()
            vectors = {prompt.id: _question_vector(prompt, each) for prompt, each in batch.done}
            stored = await questions.store_questions(session, vectors)
            looked_at = claimed.positions_before(vectors.keys() - stored)
            if looked_at:
                await questions.move_progress(session, claimed.project_id, looked_at[-1])
            if stored:
                await notify(session, Channel.PROMPTS_READY, str(claimed.project_id))
        if stored:
            log.info("questions embedded", project=claimed.project_id, prompts=len(stored))
        return len(looked_at)

    async def _adopt(self) -> None:
        """Bind new projects to this model, in its own transaction: claims wait for their rows."""
        async with self.sessions.begin() as session:
            await pending.adopt_projects(session, self.encoder.name, self.encoder.dimensions)
            others = await pending.find_other_models(session, self.encoder.name)
        for project in others:
            if project.id not in self._reported:
                self._reported.add(project.id)
                log.error(
                    "a project's vectors come from another embedding model; its new texts wait",
                    project=project.name,
                    its_model=project.embedding_model,
                    model=self.encoder.name,
                )

    async def _claim(self, session: AsyncSession) -> list[PendingPrompt]:
        """Claim prompts as long as one more of any size is sure to fit; the first always does."""
        claimed: list[PendingPrompt] = []
        texts = characters = 0
        while not claimed or (
            texts + MAX_TEXTS_PER_PROMPT <= self.batch_texts
            and characters < self.batch_texts * CHARACTERS_PER_TEXT
        ):
            limit = max(1, (self.batch_texts - texts) // MAX_TEXTS_PER_PROMPT)
            page = await pending.claim_prompts(
                session,
                self.encoder.name,
                after_id=claimed[-1].id if claimed else 0,
                limit=limit,
            )
            claimed += page
            texts += sum(len(prompt.texts) for prompt in page)
            characters += sum(len(text) for prompt in page for text in prompt.texts)
            if len(page) < limit:
                break
        return claimed

    async def _embed(self, prompts: Sequence[PendingPrompt]) -> Batch:
        try:
            vectors = await self._encode([text for prompt in prompts for text in prompt.texts])
        except Exception as error:  # noqa: BLE001 - other prompts go on after any error
            log.warning("a batch cannot be embedded; one text at a time", error=repr(error))
            return await self._embed_one_by_one(prompts)
        ends = np.cumsum([len(prompt.texts) for prompt in prompts])
        return Batch(list(zip(prompts, np.split(vectors, ends[:-1]), strict=True)))

    async def _embed_one_by_one(self, prompts: Sequence[PendingPrompt]) -> Batch:
        batch = Batch()
        for prompt in prompts:
            vectors = np.empty((len(prompt.names), self.encoder.dimensions), dtype=np.float32)
            for place, (text, name) in enumerate(prompt.names.items()):
                try:
                    vectors[place : place + 1] = await self._encode([text])
                except Exception as error:
                    await self._probe()
                    # The error's own message might hold the text.
                    failure = f"the embedding model fails on {name} ({type(error).__name__})"
                    batch.failures[prompt.id] = failure
                    prompt_id = encode(IdKind.PROMPT, prompt.id)
                    log.exception("a prompt cannot be embedded", prompt=prompt_id, failure=failure)
                    break
            else:
                batch.done.append((prompt, vectors))
        return batch

    async def _probe(self) -> None:
        """Find out whether the model fails on one text or on every text."""
        try:
            # A new text each time, so that no cache answers for the model.
            await self._encode([f"{_PROBE} {secrets.token_hex(8)}"])
        except Exception as error:
            raise EncoderBroken(f"{self.encoder.name} fails on every text") from error

    async def _encode(self, texts: Sequence[str]) -> NDArray[np.float32]:
        """Unit vectors ``(texts, dimensions)``, computed in a thread, a slice at a time.

        A thread cannot be cancelled, so a cancelled embedder ends between two slices.
        """
        vectors = np.empty((len(texts), self.encoder.dimensions), dtype=np.float32)
        for indices in slices_by_length(texts):
            vectors[indices] = await asyncio.to_thread(
                self.encoder.encode, [texts[i] for i in indices]
            )
        return vectors


async def _store(session: AsyncSession, batch: Batch) -> None:
    texts: dict[int, str] = {}
    for prompt, _ in batch.done:
        texts |= prompt.responses
    responses: dict[int, Vector] = {}
    prompts: dict[int, Vector] = {}
    asked: dict[int, Vector] = {}
    for prompt, vectors in batch.done:
        of_text = dict(zip(prompt.texts, vectors, strict=True))
        responses |= {response: of_text[text] for response, text in prompt.responses.items()}
        if prompt.text is not None:
            prompts[prompt.id] = of_text[prompt.text]
        if prompt.question:
            asked[prompt.id] = _question_vector(prompt, vectors)
    projects = {prompt.id: prompt.project_id for prompt, _ in batch.done}
    await pending.store_responses(session, responses)
    await store_styles(session, texts)
    await pending.store_prompts(session, prompts, projects)
    await questions.store_questions(session, asked)
    ready = await pending.mark_ready(session, projects)
    for project_id in ready:
        await notify(session, Channel.PROMPTS_READY, str(project_id))
    failed = await pending.mark_failed(session, batch.failures)
    for project_id in {row.project_id for row in failed}:
        # Whoever waits for the prompt's pairs need not wait any longer.
        await notify(session, Channel.PLAN_CHANGED, str(project_id))
    await pending.count_done(session, ready, failed)


def _question_vector(prompt: PendingPrompt, vectors: NDArray[np.float32]) -> Vector:
    """The vector of what the prompt asks, from the vectors of its texts."""
    return mean_direction(vectors[[prompt.texts.index(text) for text in prompt.question]])


def slices_by_length(texts: Sequence[str]) -> list[list[int]]:
    """The indices of the texts, shortest first, in slices that take a second or two on a CPU."""
    slices: list[list[int]] = []
    characters = 0
    for index in sorted(range(len(texts)), key=lambda i: len(texts[i])):
        if not slices or characters + len(texts[index]) > _SLICE_CHARACTERS:
            slices.append([])
            characters = 0
        slices[-1].append(index)
        characters += len(texts[index])
    return slices
