"""One project in the hands of its planner: it takes turns, and in a turn the steps that are due.

Larger steps are in ``topup`` and ``renewal``.
"""

import time
from dataclasses import replace
from typing import Final

from sqlalchemy.ext.asyncio import AsyncSession

from app.planner.decide import (
    ApplySettings,
    BeginRenewal,
    ContinueRenewal,
    FitModel,
    LongStep,
    Memory,
    Outcome,
    PlanArrived,
    RemoveOutgrown,
    ScanCollection,
    ShortStep,
    Step,
    TopUpByRound,
    next_step,
    with_rest,
    with_settings,
    with_unscanned,
)
from app.planner.index import ProjectIndex
from app.planner.queries import unseen as queries
from app.planner.queries.imports import release_prompts
from app.planner.queries.outlook import Outlook, begin_planning, read_outlooks
from app.planner.renewal import begin_renewal, continue_renewal
from app.planner.topup import plan_arrived, scan_collection, top_up_by_round
from app.preference.service import fit_project
from app.storage.arm import Arm
from app.storage.notifications import Channel, notify
from app.storage.sessions import Sessions

MODEL_ARMS: Final = (Arm.STRATEGY, Arm.IMPORTED)
"""What the model learns from. Exploration labels stay a test set that it has never seen."""
_OUTGROWN_AT_A_TIME = 256


class ProjectPlanner:
    """Plans one project, a turn at a time.

    It may be killed between any two instructions: what it remembers is found again in the database,
    or made again from it.
    """

    def __init__(self, sessions: Sessions, index: ProjectIndex) -> None:
        self.project_id = index.project_id
        self.index = index
        self._sessions = sessions
        self._memory = Memory()

    def has_work(self, project: Outlook) -> bool:
        """Whether a turn could do anything."""
        if project.ended_import or self.index.has_work(project):
            return True
        return isinstance(next_step(project, self._memory, time.monotonic()), ShortStep | LongStep)

    async def take_turn(self) -> bool:
        """Release prompts, catch up, take the steps due; gives whether that led any further.

        These are all due short steps, and long ones until one of them leads further.
        """
        async with self._sessions.begin() as session:
            moved = await release_prompts(session, self.project_id)
        moved |= await self.index.catch_up()
        done: set[type[Step]] = set()
        project, plan_changed = await self._take_short_steps(done)
        moved |= plan_changed
        while project is not None:
            step = next_step(project, self._memory, time.monotonic(), done)
            if not isinstance(step, LongStep):
                break
            outcome = await _take_long_step(self._sessions, project, self._memory, step)
            self._memory = outcome.memory
            if outcome.moved:
                return True  # the next decision needs a new outlook
            done.add(type(step))
        return moved

    async def _take_short_steps(self, done: set[type[Step]]) -> tuple[Outlook | None, bool]:
        """Take the short steps that are due, in one transaction.

        Returns:
            The outlook after them, and whether they changed the plan.
        """
        changed = False
        async with self._sessions.begin() as session:
            project = await begin_planning(session, self.project_id)
            if project is None:
                return None, False
            memory = with_unscanned(self._memory, project, self.index.take_arrived())
            self._memory = memory
            while True:
                step = next_step(project, memory, time.monotonic(), done)
                if not isinstance(step, ShortStep):
                    break
                outcome = await _take_short_step(session, project, memory, step)
                memory = outcome.memory
                done.add(type(step))
                changed |= outcome.moved
                if outcome.moved and not isinstance(step, TopUpByRound):
                    # What a top-up adds changes nothing for the steps that come after it.
                    [project] = await read_outlooks(session, [self.project_id])
            if changed:
                await notify(session, Channel.PLAN_CHANGED, str(self.project_id))
        self._memory = memory
        return project, changed


async def _take_short_step(
    session: AsyncSession, project: Outlook, memory: Memory, step: ShortStep
) -> Outcome:
    """Take a step in a transaction that has begun planning; it moved if the plan has changed."""
    match step:
        case ApplySettings():
            return await _apply_settings(session, project, memory)
        case RemoveOutgrown():
            return await _remove_outgrown(session, project, memory)
        case TopUpByRound(fill):
            return await top_up_by_round(session, project, memory, fill=fill)


async def _take_long_step(
    sessions: Sessions, project: Outlook, memory: Memory, step: LongStep
) -> Outcome:
    """Take a step that opens its own transactions."""
    match step:
        case ScanCollection():
            return await scan_collection(sessions, project, memory)
        case PlanArrived(prompt_ids):
            return await plan_arrived(sessions, project, memory, prompt_ids)
        case FitModel():
            return await _fit_model(sessions, project, memory)
        case BeginRenewal(basis):
            return await begin_renewal(sessions, project, memory, basis)
        case ContinueRenewal():
            return await continue_renewal(sessions, project, memory)


async def _apply_settings(session: AsyncSession, project: Outlook, memory: Memory) -> Outcome:
    """Make the unseen pairs fit the project's settings."""
    removed = await queries.apply_settings(session, project.project_id, project.settings)
    return Outcome(with_settings(memory, project.settings), moved=removed > 0)


async def _remove_outgrown(session: AsyncSession, project: Outlook, memory: Memory) -> Outcome:
    """Remove the unseen pairs of some outgrown prompts."""
    outgrown = await queries.remove_outgrown(session, project.project_id, _OUTGROWN_AT_A_TIME)
    return Outcome(with_unscanned(memory, project, outgrown), moved=len(outgrown) > 0)


async def _fit_model(sessions: Sessions, project: Outlook, memory: Memory) -> Outcome:
    """Fit the preference model to the labels there are now."""
    assert project.dimensions is not None
    began = time.monotonic()
    async with sessions() as session:
        model = await fit_project(session, project.project_id, project.dimensions, arms=MODEL_ARMS)
    now = time.monotonic()
    fitted = replace(
        memory, model=model, fitted_labels=project.counted_labels, fits=memory.fits + 1
    )
    return Outcome(with_rest(fitted, now, now - began), moved=True)
