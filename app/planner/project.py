"""One project in the hands of its planner: its index, and its plan."""

import asyncio
import time
from pathlib import Path

import structlog
from sqlalchemy.ext.asyncio import AsyncSession

from app.embedding.unit import from_bytes
from app.planner.arrivals import arrive
from app.planner.making import PlanMaker
from app.planner.queries import arrivals as plan_arrival_queries
from app.planner.queries.outlook import Outlook, begin_planning
from app.storage.sessions import Sessions
from app.vectors import snapshot
from app.vectors.service import START, Mark, VectorIndex, apply_erasures, cluster, restore

_SAVE_SECONDS = 30.0
_SAVE_ERASED_SECONDS = 3.0

log = structlog.get_logger()


class ProjectPlanner:
    """Plans one project, a step at a time.

    Whatever it remembers is either found again in the database or made again from it: it may be
    killed between any two instructions.
    """

    def __init__(self, project_id: int, sessions: Sessions, path: Path) -> None:
        self.project_id = project_id
        self._sessions = sessions
        self._path = path
        self._lock = asyncio.Lock()
        self._index: VectorIndex | None = None
        self._mark: Mark = START
        self._owner = ""
        self._changed_at: float | None = None
        self._erased_at: float | None = None
        self._plan = PlanMaker(project_id, sessions)

    def has_work(self, outlook: Outlook) -> bool:
        """Whether a step could do anything."""
        if outlook.dimensions is None:
            return False
        return (
            self._index is None
            or outlook.arriving
            or outlook.last_erased > self._mark.erased
            or self._plan.has_work(outlook)
        )

    async def step(self) -> bool:
        """Do a bounded part of what there is to do; gives whether anything was done."""
        async with self._lock:
            moved = await self._catch_up()
        return await self._plan.step() or moved

    async def similar(self, prompt_id: int, limit: int) -> list[tuple[int, float]]:
        """The prompts most similar to one, nearest first, with their cosines."""
        async with self._lock:
            await self._catch_up()
            if self._index is None:
                return []
            async with self._sessions() as session:
                stored = await plan_arrival_queries.read_prompt_vector(
                    session, self.project_id, prompt_id
                )
            if stored is None:
                return []
            vector = from_bytes([stored], self._index.dimensions)
            similarities, ids = await asyncio.to_thread(self._index.search, vector, limit + 1)
        found = zip(ids[0].tolist(), similarities[0].tolist(), strict=True)
        return [one for one in found if one[0] not in {-1, prompt_id}][:limit]

    async def save_if_due(self) -> None:
        """Save the index when it has changed some time ago; soon where a prompt was erased."""
        now = time.monotonic()
        if _is_past(self._changed_at, now - _SAVE_SECONDS) or _is_past(
            self._erased_at, now - _SAVE_ERASED_SECONDS
        ):
            await self.save()

    async def save(self) -> None:
        """Save the index, if it has changed."""
        async with self._lock:
            if self._index is None or self._changed_at is None:
                return
            await asyncio.to_thread(
                snapshot.save, self._path, self._index, self._mark, owner=self._owner
            )
            self._changed_at = self._erased_at = None

    async def _catch_up(self) -> bool:
        """Bring the index a part nearer to the database; newcomers arrive in the plan."""
        async with self._sessions.begin() as session:
            project = await begin_planning(session, self.project_id)
            if project is None or project.dimensions is None:
                return False
            index = await self._open(session, project)
            arrived = await arrive(session, project, index, self._mark.embedded)
        await asyncio.to_thread(index.add, arrived.additions.ids, arrived.additions.vectors)
        # Read after the additions are in: one that was erased since it was read goes out again.
        async with self._sessions() as session:
            erased = await apply_erasures(session, self.project_id, index, self._mark.erased)
        mark = Mark(arrived.additions.position, erased)
        if mark == self._mark:
            return False
        self._note_change(erased=erased != self._mark.erased)
        self._mark = mark
        self._plan.note_arrived(arrived.prompt_ids)
        return True

    async def _open(self, session: AsyncSession, project: Outlook) -> VectorIndex:
        if self._index is None:
            assert project.dimensions is not None
            await asyncio.to_thread(snapshot.delete_unfinished, self._path)
            place = f"cluster {await cluster(session)}"
            self._owner = f"project {project.project_id} seed {project.seed} in {place}"
            restored = await restore(
                session,
                self.project_id,
                self._path,
                owner=self._owner,
                dimensions=project.dimensions,
            )
            log.info("index opened", project=self.project_id, prompts=len(restored.index))
            self._index, self._mark = restored.index, restored.mark
            if restored.mark == START:
                await asyncio.to_thread(snapshot.delete, self._path)
        return self._index

    def _note_change(self, *, erased: bool) -> None:
        now = time.monotonic()
        self._changed_at = self._changed_at or now
        if erased:
            self._erased_at = self._erased_at or now


def _is_past(moment: float | None, limit: float) -> bool:
    return moment is not None and moment <= limit


def index_path(data_dir: Path, project_id: int) -> Path:
    """The file of a project's index."""
    return data_dir / "index" / f"{project_id}.faiss"


def indexed_projects(data_dir: Path) -> list[int]:
    """The projects that have a file, theirs or an unfinished one."""
    names = {path.name.split(".")[0] for path in (data_dir / "index").glob("*.faiss*")}
    return [int(name) for name in names if name.isdecimal()]


def delete_index(data_dir: Path, project_id: int) -> None:
    """Delete a project's file: the project has been deleted."""
    snapshot.delete(index_path(data_dir, project_id))
