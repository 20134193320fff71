"""The FAISS index of a project's prompts: catch up with the database, search, save."""

import asyncio
import time
from collections.abc import Collection
from pathlib import Path

import numpy as np
import structlog
from sqlalchemy.ext.asyncio import AsyncSession

from app.embedding.unit import from_bytes
from app.planner.arrivals import fix_arrivals
from app.planner.queries.arrivals import find_newcomers, read_prompt_vector
from app.planner.queries.outlook import Outlook, begin_planning
from app.selection.arrays import BoolArray, IntArray
from app.storage.sessions import Sessions
from app.vectors import snapshot
from app.vectors.index import VectorIndex
from app.vectors.marks import START, Mark, VectorSource
from app.vectors.service import apply_erasures, cluster, read_additions, restore

_SAVE_SECONDS = 30.0
_SAVE_ERASED_SECONDS = 3.0

log = structlog.get_logger()


class ProjectIndex:
    """The index of a project. Nothing else changes it.

    It holds the vectors by which prompts are grouped: of all prompts that have arrived, and no
    other, so that a search in it finds the nearest earlier prompt. Prompts that arrived before the
    service embedded questions come in as the embedder gets to them.
    """

    def __init__(self, project_id: int, sessions: Sessions, path: Path) -> None:
        self.project_id = project_id
        self._sessions = sessions
        self._path = path
        self._lock = asyncio.Lock()
        self._index: VectorIndex | None = None
        self._source = VectorSource(project_id)
        self._mark: Mark = START
        self._complete = False
        self._arrived: set[int] = set()
        self._owner = ""
        self._changed_at: float | None = None
        self._erased_at: float | None = None

    def has_work(self, project: Outlook) -> bool:
        """Whether there is anything to catch up with, or arrivals that nobody has taken."""
        if project.dimensions is None:
            return False
        is_behind = (
            not self._complete
            or project.arriving
            or project.last_question > self._mark.embedded
            or project.last_erased > self._mark.erased
        )
        return is_behind or bool(self._arrived)

    def take_arrived(self) -> set[int]:
        """The prompts that have arrived since this was last asked."""
        arrived, self._arrived = self._arrived, set()
        return arrived

    async def catch_up(self) -> bool:
        """Read a part of what is new in the database; gives whether there was anything."""
        async with self._lock:
            return await self._catch_up()

    async def similar(self, prompt_id: int, limit: int) -> list[tuple[int, float]]:
        """The prompts whose vectors are nearest to one's, nearest first, with their cosines."""
        async with self._lock:
            await self._catch_up()
            if self._index is None:
                return []
            async with self._sessions() as session:
                stored = await read_prompt_vector(session, self._source, prompt_id)
            if stored is None:
                return []
            vector = from_bytes([stored], self._index.dimensions)
            similarities, ids = await asyncio.to_thread(self._index.search, vector, limit + 1)
        found = zip(ids[0].tolist(), similarities[0].tolist(), strict=True)
        return [one for one in found if one[0] not in {-1, prompt_id}][:limit]

    async def save_if_due(self) -> None:
        """Save the index if it changed some time ago; sooner if a prompt was erased."""
        now = time.monotonic()
        if _is_past(self._changed_at, now - _SAVE_SECONDS) or _is_past(
            self._erased_at, now - _SAVE_ERASED_SECONDS
        ):
            await self.save()

    async def save(self) -> None:
        """Save the index if it has changed."""
        async with self._lock:
            if self._index is None or self._changed_at is None:
                return
            await asyncio.to_thread(
                snapshot.save, self._path, self._index, self._mark, owner=self._owner
            )
            self._changed_at = self._erased_at = None

    async def _catch_up(self) -> bool:
        async with self._sessions.begin() as session:
            project = await begin_planning(session, self.project_id)
            if project is None or project.dimensions is None:
                return False
            index = await self._open(session, project, project.dimensions)
            additions = await read_additions(
                session, self._source, self._mark.embedded, project.dimensions
            )
            newcomers, waiting = await find_newcomers(session, additions.ids.tolist())
            is_new = _are_among(additions.ids, newcomers)
            is_old = ~(is_new | _are_among(additions.ids, waiting))
            # Newcomers look for near-duplicates among all that arrived before them.
            await asyncio.to_thread(index.add, additions.ids[is_old], additions.vectors[is_old])
            if newcomers:
                await fix_arrivals(
                    session, project, index, additions.ids[is_new], additions.vectors[is_new]
                )
        # What was fixed is committed: now, and not before, the newcomers have arrived.
        self._arrived |= newcomers
        await asyncio.to_thread(index.add, additions.ids[is_new], additions.vectors[is_new])
        # Last: a prompt that was erased after it was read is removed again.
        async with self._sessions() as session:
            erased = await apply_erasures(session, self.project_id, index, self._mark.erased)
        self._complete = additions.complete
        return self._note(Mark(additions.position, erased))

    async def _open(self, session: AsyncSession, project: Outlook, dimensions: int) -> VectorIndex:
        if self._index is None:
            await asyncio.to_thread(snapshot.delete_unfinished, self._path)
            place = f"cluster {await cluster(session)}"
            self._source = project.grouped_by
            self._owner = f"project {project.project_id} seed {project.seed} in {place}"
            if self._source.question_version is not None:
                self._owner += f" by question {self._source.question_version}"
            restored = await restore(
                session, self._source, self._path, owner=self._owner, dimensions=dimensions
            )
            log.info("index opened", project=self.project_id, prompts=len(restored.index))
            self._index, self._mark = restored.index, restored.mark
            if restored.mark == START:
                await asyncio.to_thread(snapshot.delete, self._path)
        return self._index

    def _note(self, mark: Mark) -> bool:
        """Note how far the index has caught up; gives whether it is further than before."""
        if mark == self._mark:
            return False
        now = time.monotonic()
        self._changed_at = self._changed_at or now
        if mark.erased != self._mark.erased:
            self._erased_at = self._erased_at or now
        self._mark = mark
        return True


def _are_among(ids: IntArray, some: Collection[int]) -> BoolArray:
    return np.isin(ids, np.array(sorted(some), dtype=np.int64))


def _is_past(moment: float | None, limit: float) -> bool:
    return moment is not None and moment <= limit


def index_path(data_dir: Path, project_id: int) -> Path:
    """The file of a project's index."""
    return data_dir / "index" / f"{project_id}.faiss"


def indexed_projects(data_dir: Path) -> list[int]:
    """The projects that have a file, complete or unfinished."""
    names = {path.name.split(".")[0] for path in (data_dir / "index").glob("*.faiss*")}
    return [int(name) for name in names if name.isdecimal()]


def delete_index(data_dir: Path, project_id: int) -> None:
    """Delete the file of a deleted project."""
    snapshot.delete(index_path(data_dir, project_id))
