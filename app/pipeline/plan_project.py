"""One project in the hands of its planner: its index, and what is to be planned next."""

import asyncio
import time
from collections.abc import Sequence
from pathlib import Path

import structlog
from sqlalchemy.ext.asyncio import AsyncSession

from app.embedding.unit import from_bytes
from app.pipeline import plan_arrival_queries, plan_pair_queries, plan_removal_queries
from app.pipeline.plan_arrivals import arrive
from app.pipeline.plan_choice import find_strategy
from app.pipeline.plan_pairs import ChosenPair, price
from app.pipeline.plan_queries import Outlook, PlanSettings, begin_planning
from app.pipeline.plan_topup import best_of_collection, best_of_prompts, top_up_by_round
from app.settings import PLAN_AHEAD
from app.storage.notifications import Channel, notify
from app.storage.sessions import Sessions
from app.vectors import snapshot
from app.vectors.service import START, Mark, VectorIndex, apply_erasures, cluster, restore

_SAVE_SECONDS = 30.0
_SAVE_ERASED_SECONDS = 3.0
_OUTGROWN_AT_A_TIME = 256

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
        self._settings: PlanSettings | None = None
        self._filling = False
        # For a strategy over the whole collection; None: nothing of it has been looked at.
        self._unscanned: set[int] | None = None

    def has_work(self, outlook: Outlook) -> bool:
        """Whether a step could do anything."""
        if outlook.dimensions is None:
            return False
        return (
            self._index is None
            or outlook.arriving
            or outlook.outgrown
            or outlook.foreign
            or outlook.settings != self._settings
            or outlook.last_erased > self._mark.erased
            or self._is_to_be_topped_up(outlook)
        )

    async def step(self) -> bool:
        """Do a bounded part of what there is to do; gives whether anything was done."""
        async with self._lock:
            moved = await self._catch_up()
        return await self._plan() or moved

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
        if self._unscanned is not None:
            self._unscanned.update(arrived.prompt_ids)
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

    def _is_to_be_topped_up(self, outlook: Outlook) -> bool:
        if find_strategy(outlook.settings.strategy).collection_wide:
            is_short = outlook.plannable and outlook.horizon is None
            return is_short or self._unscanned is None or bool(self._unscanned)
        return outlook.is_low or (self._filling and outlook.plannable)

    async def _plan(self) -> bool:
        """Take out what should not be in the plan any more, and put in what should."""
        async with self._sessions.begin() as session:
            project = await begin_planning(session, self.project_id)
            if project is None or project.dimensions is None:
                return False
            changes = await self._take_out(session, project)
            if changes:
                project = await begin_planning(session, self.project_id)
                assert project is not None
            strategy = find_strategy(project.settings.strategy)
            if not strategy.collection_wide and self._is_to_be_topped_up(project):
                fill = self._filling or project.horizon is None
                added = await top_up_by_round(session, project, strategy, fill=fill)
                changes += added
                filling = fill and added > 0
            else:
                filling = False
            if changes:
                await notify(session, Channel.PLAN_CHANGED, str(self.project_id))
        self._settings, self._filling = project.settings, filling
        if strategy.collection_wide:
            changes += await self._plan_collection(project)
        else:
            self._unscanned = None
        return changes > 0

    async def _take_out(self, session: AsyncSession, project: Outlook) -> int:
        """Take out of the plan what nobody has seen and would not be chosen any more."""
        changes = 0
        if project.settings != self._settings:
            changes += await plan_removal_queries.apply_settings(
                session, self.project_id, project.settings
            )
        if project.foreign:
            changes += await plan_removal_queries.take_out_foreign(
                session, self.project_id, project.settings.strategy
            )
        if project.outgrown:
            outgrown = await plan_removal_queries.take_out_outgrown(
                session, self.project_id, _OUTGROWN_AT_A_TIME
            )
            changes += len(outgrown)
            if self._unscanned is not None:
                self._unscanned.update(outgrown)
        return changes

    async def _plan_collection(self, project: Outlook) -> int:
        """Plan with a strategy that orders the pairs of the whole collection."""
        if not self._is_to_be_topped_up(project):
            return 0
        unscanned, self._unscanned = self._unscanned, set()
        try:
            if unscanned is None or project.horizon is None:
                best = await best_of_collection(self._sessions, project)
            else:
                async with self._sessions() as session:
                    best = await best_of_prompts(session, project, sorted(unscanned))
            return await self._insert(best)
        except BaseException:
            self._unscanned = None
            raise

    async def _insert(self, best: Sequence[ChosenPair]) -> int:
        """Put in what was chosen without a lock, unless the project has changed meanwhile."""
        if not best:
            return 0
        async with self._sessions.begin() as session:
            project = await begin_planning(session, self.project_id)
            if project is None or project.settings != self._settings:
                self._unscanned = None
                return 0
            room = PLAN_AHEAD
            if project.horizon is None:
                room -= await plan_pair_queries.count_untouched(
                    session, self.project_id, PLAN_AHEAD
                )
            pairs = await price(session, project, best[:room])
            added = await plan_pair_queries.insert_pairs(session, self.project_id, pairs)
            if added:
                await notify(session, Channel.PLAN_CHANGED, str(self.project_id))
            return added


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
