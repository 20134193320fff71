"""A model for tests of the embedder, prompts for it, and what it has stored."""

import asyncio
import contextlib
import hashlib
import os
import subprocess
import sys
from collections.abc import Awaitable, Callable, Iterator, Sequence

import numpy as np
from numpy.typing import NDArray
from sqlalchemy import select, text, update
from sqlalchemy.ext.asyncio import AsyncSession

from app.embedder.process import run
from app.embedding.unit import from_bytes, normalise
from app.settings import Settings
from app.storage.notifications import Channel, notify
from app.storage.sessions import Sessions
from app.storage.tables import (
    Project,
    ProjectIntake,
    Prompt,
    PromptEmbedding,
    Response,
    ResponseEmbedding,
)

DEADLINE_SECONDS = 180
LONG = "A sentence about the weather, which was fine, and about the sea, which was not. " * 150

RUN = """
import os
from app.embedder.process import run
from app.processes.stopping import run_until_stopped
from app.settings import Settings
run_until_stopped(run(Settings(), os.environ["DATABASE_URL"]))
"""


class LetterEncoder:
    """A small real model of its own: eight numbers out of a text's letters. It fails on demand."""

    def __init__(self, name: str = "letters", dimensions: int = 8) -> None:
        self.name = name
        self.dimensions = dimensions
        self.encoded: list[str] = []
        self.fails_on: Callable[[str], bool] = lambda _: False

    def encode(self, texts: Sequence[str]) -> NDArray[np.float32]:
        if any(self.fails_on(text) for text in texts):
            raise RuntimeError("the model cannot take this")
        self.encoded += texts
        return np.stack([self.vector(text) for text in texts])

    def vector(self, text: str) -> NDArray[np.float32]:
        digest = hashlib.sha256(text.encode()).digest()
        return normalise(np.resize(np.frombuffer(digest, dtype=np.uint8) + 1.0, self.dimensions))


async def add_project(sessions: Sessions, name: str, source: str | None = "service") -> int:
    async with sessions.begin() as session:
        project = Project(
            name=name, guidelines="", strategy="dissimilar", unit="labels", labels_per_pair=1,
            overlap_share=0, overlap_labels=2, exploration=0.1, lease_seconds=1800,
            cost_seconds_base=8, cost_words_per_minute=238, seed=1, embedding_source=source,
        )  # fmt: skip
        session.add(project)
        await session.flush()
        session.add(ProjectIntake(project_id=project.id))
        return project.id


async def add_prompts(
    sessions: Sessions, project_id: int, prompts: Sequence[tuple[object, list[str]]]
) -> list[int]:
    """Pending prompts as intake leaves them: ``(content, response texts)``."""
    async with sessions.begin() as session:
        rows = [
            Prompt(
                project_id=project_id, external_id=os.urandom(8).hex(), content=content,
                fingerprint=b"", status="pending", pairs_total=len(texts) * (len(texts) - 1) // 2,
            )
            for content, texts in prompts
        ]  # fmt: skip
        session.add_all(rows)
        await session.flush()
        for row, (_, texts) in zip(rows, prompts, strict=True):
            await add_responses(session, row.id, texts)
        await session.execute(
            update(ProjectIntake)
            .where(ProjectIntake.project_id == project_id)
            .values(prompts=ProjectIntake.prompts + len(rows),
                    pending=ProjectIntake.pending + len(rows),
                    unplanned=ProjectIntake.unplanned + len(rows))
        )  # fmt: skip
        await notify(session, Channel.TEXTS_PENDING, str(project_id))
        return [row.id for row in rows]


async def add_responses(
    session: AsyncSession, prompt_id: int, texts: Sequence[str], first: int = 0
) -> None:
    session.add_all(
        Response(prompt_id=prompt_id, position=first + i, text=text) for i, text in enumerate(texts)
    )
    await session.flush()


async def statuses(sessions: Sessions) -> dict[int, str]:
    async with sessions() as session:
        rows = await session.execute(select(Prompt.id, Prompt.status))
        return dict(rows.all())


async def pending_count(sessions: Sessions, project_id: int) -> int:
    async with sessions() as session:
        intake = await session.get_one(ProjectIntake, project_id)
        return intake.pending


async def intake_counts(sessions: Sessions, project_id: int) -> dict[str, int]:
    async with sessions() as session:
        intake = await session.get_one(ProjectIntake, project_id)
        return {
            "pending": intake.pending,
            "failed": intake.failed,
            "unplanned": intake.unplanned,
        }


async def vectors_stored(sessions: Sessions, dimensions: int) -> dict[str, NDArray[np.float32]]:
    """Every stored vector, by its text."""
    async with sessions() as session:
        responses = await session.execute(
            select(Response.text, ResponseEmbedding.vector).join(
                ResponseEmbedding, ResponseEmbedding.response_id == Response.id
            )
        )
        prompts = await session.execute(
            select(Prompt.content, PromptEmbedding.vector).join(
                PromptEmbedding, PromptEmbedding.prompt_id == Prompt.id
            )
        )
        return {
            str(content): from_bytes([vector], dimensions)[0]
            for content, vector in [*responses, *prompts]
        }


async def count_free(sessions: Sessions) -> int:
    """How many pending prompts nobody holds."""
    async with sessions() as session:
        rows = await session.scalars(
            select(Prompt.id).where(Prompt.status == "pending").with_for_update(skip_locked=True)
        )
        return len(rows.all())


async def at_work(sessions: Sessions) -> list[int]:
    """The connections that hold a transaction while their process is busy with something else."""
    async with sessions() as session:
        busy = await session.scalars(
            text(
                "SELECT pid FROM pg_stat_activity WHERE datname = current_database()"
                " AND state = 'idle in transaction'"
                " AND state_change < clock_timestamp() - interval '50 milliseconds'"
            )
        )
        return list(busy)


async def until(condition: Callable[[], Awaitable[bool]]) -> None:
    """Look again and again until it holds, or fail at the deadline."""
    async with asyncio.timeout(DEADLINE_SECONDS):
        while not await condition():  # noqa: ASYNC110 - what it waits for is in the database
            await asyncio.sleep(0.01)


def all_ready(sessions: Sessions) -> Callable[[], Awaitable[bool]]:
    async def look() -> bool:
        return set((await statuses(sessions)).values()) == {"ready"}

    return look


@contextlib.asynccontextmanager
async def running(settings: Settings, sessions: Sessions):  # type: ignore[no-untyped-def]
    """An embedder at work in a task of its own; cancelled at the end."""
    url = str(settings.database_url)
    task = asyncio.create_task(run(settings, url))
    try:
        yield task
    finally:
        task.cancel()
        with contextlib.suppress(asyncio.CancelledError):
            await task


@contextlib.contextmanager
def embedder_process(database_url: str) -> Iterator[subprocess.Popen[bytes]]:
    process = subprocess.Popen(
        [sys.executable, "-c", RUN], env={**os.environ, "DATABASE_URL": database_url}
    )
    try:
        yield process
    finally:
        process.kill()
        process.wait()
