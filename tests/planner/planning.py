"""Projects to plan, written straight into the tables, and planners to run on them."""

import asyncio
import contextlib
import itertools
import os
import subprocess
import sys
import time
from collections import defaultdict
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from sqlalchemy import func, insert, select, update
from sqlalchemy.ext.asyncio import AsyncSession

from app.embedding.unit import from_bytes, normalise, to_bytes
from app.planner.process import Planner
from app.planner.queries.locks import ProjectLocks
from app.storage.sessions import Sessions
from app.storage.tables import (
    Label,
    Pair,
    Project,
    ProjectIntake,
    Prompt,
    PromptEmbedding,
    Response,
    ResponseEmbedding,
)

DIMENSIONS = 16
DEADLINE_SECONDS = 240.0
Floats = NDArray[np.float32]

_RUN = """
import asyncio, os
from app.processes.stopping import run_until_stopped
from app.planner.process import run
from app.settings import Settings
run_until_stopped(run(Settings(), os.environ["DATABASE_URL"]))
"""


@dataclass(frozen=True)
class PlanWorld:
    """The default project, its prompts, and planners for it."""

    sessions: Sessions
    url: str
    data_dir: Path
    project_id: int

    async def set_project(self, **columns: Any) -> None:
        """Change the project."""
        async with self.sessions.begin() as session:
            await session.execute(
                update(Project).where(Project.id == self.project_id).values(**columns)
            )

    async def add_prompts(
        self,
        prompt_vectors: Floats,
        response_vectors: Floats,
        words: int | NDArray[np.int64] = 1,
    ) -> list[int]:
        """Ready prompts as intake leaves them.

        Args:
            prompt_vectors: ``(n, DIMENSIONS)``.
            response_vectors: ``(n, responses, DIMENSIONS)``.
            words: how many words each response has: one number, or ``(n, responses)``.
        """
        count, responses = response_vectors.shape[:2]
        async with self.sessions.begin() as session:
            ids = list(
                await session.scalars(
                    insert(Prompt).returning(Prompt.id),
                    [
                        {
                            "project_id": self.project_id,
                            "external_id": os.urandom(8).hex(),
                            "content": "A prompt",
                            "fingerprint": b"",
                            "status": "ready",
                            "pairs_total": responses * (responses - 1) // 2,
                        }
                        for _ in range(count)
                    ],
                )
            )
            ids.sort()
            await session.execute(
                insert(PromptEmbedding),
                [
                    {"prompt_id": one, "project_id": self.project_id, "vector": to_bytes(vector)}
                    for one, vector in zip(ids, prompt_vectors, strict=True)
                ],
            )
            await self._add_responses(session, ids, response_vectors, 0, words)
            await session.execute(
                update(ProjectIntake)
                .where(ProjectIntake.project_id == self.project_id)
                .values(
                    prompts=ProjectIntake.prompts + count,
                    unplanned=ProjectIntake.unplanned + count,
                )
            )
        return ids

    async def add_responses(self, prompt_id: int, vectors: Floats, of_round: int = 1) -> None:
        """More responses of a prompt, as ``POST /prompts/{id}/responses`` adds them."""
        async with self.sessions.begin() as session:
            before = await session.scalar(
                select(func.count()).where(Response.prompt_id == prompt_id)
            )
            assert before is not None
            await self._add_responses(session, [prompt_id], vectors[None], before, 1, of_round)
            total = before + len(vectors)
            await session.execute(
                update(Prompt)
                .where(Prompt.id == prompt_id)
                .values(
                    pairs_total=total * (total - 1) // 2,
                    latest_round=func.greatest(Prompt.latest_round, of_round),
                )
            )

    @staticmethod
    async def _add_responses(
        session: AsyncSession,
        prompt_ids: list[int],
        vectors: Floats,
        first: int,
        words: int | NDArray[np.int64],
        of_round: int = 1,
    ) -> None:
        lengths = np.broadcast_to(words, vectors.shape[:2])
        ids = await session.scalars(
            insert(Response).returning(Response.id, sort_by_parameter_order=True),
            [
                {
                    "prompt_id": one,
                    "position": first + place,
                    "text": "word " * int(length),
                    "round": of_round,
                }
                for one, row in zip(prompt_ids, lengths, strict=True)
                for place, length in enumerate(row)
            ],
        )
        await session.execute(
            insert(ResponseEmbedding),
            [
                {"response_id": one, "vector": to_bytes(vector)}
                for one, vector in zip(ids, vectors.reshape(-1, DIMENSIONS), strict=True)
            ],
        )

    @contextlib.asynccontextmanager
    async def planner(self, data_dir: Path | None = None) -> AsyncIterator[Planner]:
        """A planner in this process."""
        planner = Planner(self.sessions, ProjectLocks(self.url), data_dir or self.data_dir)
        try:
            yield planner
        finally:
            await planner.close()

    async def plan(self) -> None:
        """Let a planner do all there is to do."""
        async with self.planner() as planner:
            await plan_all(planner)

    async def prompts(self) -> list[Prompt]:
        """The prompts as they are now, by id."""
        async with self.sessions() as session:
            found = await session.scalars(
                select(Prompt).where(Prompt.project_id == self.project_id).order_by(Prompt.id)
            )
            return list(found)

    async def pairs(self, arm: str = "strategy") -> list[Pair]:
        """The pairs of an arm, in the order of the plan."""
        async with self.sessions() as session:
            found = await session.scalars(
                select(Pair)
                .where(Pair.project_id == self.project_id, Pair.arm == arm)
                .order_by(Pair.position, Pair.id)
            )
            return list(found)

    async def label(
        self, pairs: Sequence[Pair], prefers_first: Callable[[Pair], bool] = lambda _: True
    ) -> None:
        """Hand these pairs out and let an annotator answer each."""
        async with self.sessions.begin() as session:
            ids = [pair.id for pair in pairs]
            await session.execute(
                update(Pair).where(Pair.id.in_(ids)).values(handed_out=True, counted=1)
            )
            for pair in pairs:
                both = [pair.first_response_id, pair.second_response_id]
                preferred, rejected = both if prefers_first(pair) else both[::-1]
                session.add(
                    Label(
                        project_id=self.project_id, prompt_id=pair.prompt_id, pair_id=pair.id,
                        annotator="ann", choice="left", status="counted",
                        preferred_response_id=preferred, rejected_response_id=rejected,
                    )
                )  # fmt: skip
            await session.execute(
                update(Project)
                .where(Project.id == self.project_id)
                .values(counted_labels=Project.counted_labels + len(pairs))
            )

    async def vectors(self) -> dict[int, dict[int, Floats]]:
        """The responses' vectors by prompt and response."""
        async with self.sessions() as session:
            rows = await session.execute(
                select(Response.prompt_id, Response.id, ResponseEmbedding.vector).join(
                    ResponseEmbedding
                )
            )
            found: dict[int, dict[int, Floats]] = defaultdict(dict)
            for prompt_id, response_id, stored in rows:
                found[prompt_id][response_id] = from_bytes([stored], DIMENSIONS)[0]
        return found

    async def cosines(self) -> list[float]:
        """Of all pairs of the collection, rising."""
        return sorted(
            float(rows[one] @ rows[other])
            for rows in (await self.vectors()).values()
            for one, other in itertools.combinations(sorted(rows), 2)
        )

    async def unplanned(self) -> int:
        """How many prompts are counted as not arrived."""
        async with self.sessions() as session:
            return (
                await session.scalars(
                    select(ProjectIntake.unplanned).where(
                        ProjectIntake.project_id == self.project_id
                    )
                )
            ).one()

    async def miscounted(self) -> list[int]:
        """Prompts whose ``pairs_planned`` is not the number of their rows in ``pairs``."""
        rows = (
            select(func.count())
            .where(Pair.prompt_id == Prompt.id)
            .correlate(Prompt)
            .scalar_subquery()
        )
        async with self.sessions() as session:
            return list(
                await session.scalars(select(Prompt.id).where(Prompt.pairs_planned != rows))
            )

    @contextlib.contextmanager
    def planner_process(self, data_dir: Path | None = None) -> Iterator[subprocess.Popen[bytes]]:
        """A planner in a process of its own; killed in the end."""
        environment = {
            **os.environ,
            "DATABASE_URL": self.url,
            "DATA_DIR": str(data_dir or self.data_dir),
            "POLL_SECONDS": "0.2",
            "OMP_NUM_THREADS": "1",
        }
        with subprocess.Popen([sys.executable, "-c", _RUN], env=environment) as process:
            try:
                yield process
            finally:
                process.kill()


async def plan_all(planner: Planner) -> None:
    """Let the planner take turns until nothing is left to do."""

    async def idle() -> bool:
        has_work, _ = await planner.take_turns()
        return not has_work

    await until(idle)


async def until(holds: Callable[[], Awaitable[bool]]) -> None:
    """Wait until something holds.

    Raises:
        TimeoutError: it did not in time.
    """
    deadline = time.monotonic() + DEADLINE_SECONDS
    while not await holds():
        if time.monotonic() > deadline:
            raise TimeoutError
        await asyncio.sleep(0.02)


def unit(rng: np.random.Generator, *shape: int) -> Floats:
    """Random unit vectors, ``(*shape, DIMENSIONS)``."""
    return normalise(rng.standard_normal((*shape, DIMENSIONS)))


def near(vector: Floats, cosine: float, rng: np.random.Generator) -> Floats:
    """A unit vector at that cosine to another, ``(DIMENSIONS,)``."""
    aside = rng.standard_normal(DIMENSIONS)
    aside -= (aside @ vector) * vector
    aside /= np.linalg.norm(aside)
    return normalise(cosine * vector + np.sqrt(1 - cosine**2) * aside)


def rows_of(prompts: Sequence[Prompt]) -> list[tuple[Any, ...]]:
    """What the planner fixes of prompts."""
    return [
        (one.id, one.group_id, one.exploration, one.near_duplicate, one.order_key)
        for one in prompts
    ]
