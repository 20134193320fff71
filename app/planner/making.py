"""The plan of one project: what is to be done to it next."""

import time
from collections.abc import Iterable, Sequence

import structlog
from sqlalchemy.ext.asyncio import AsyncSession

from app.planner.choice import find_strategy
from app.planner.model import ModelKeeper
from app.planner.pairs import ChosenPair, price
from app.planner.queries import pairs as plan_pair_queries
from app.planner.queries import unseen as unseen_queries
from app.planner.queries.outlook import Outlook, PlanSettings, begin_planning
from app.planner.renewal import (
    PROMPTS_AT_A_TIME,
    Basis,
    Renewal,
    start_by_round,
    start_of_collection,
)
from app.planner.replacement import Replacement, replace_pairs
from app.planner.topup import best_of_collection, best_of_prompts, top_up_by_round
from app.selection.strategy import Strategy
from app.settings import PLAN_AHEAD
from app.storage.notifications import Channel, notify
from app.storage.sessions import Sessions

_OUTGROWN_AT_A_TIME = 256
_GROWTH = 0.1

log = structlog.get_logger()


class PlanMaker:
    """Takes out of the plan what should not be in it, puts in what should, and chooses anew.

    Whatever it remembers is made again after a crash: the model from the labels, and what is in the
    plan is chosen anew once by every planner that takes the project over.
    """

    def __init__(self, project_id: int, sessions: Sessions) -> None:
        self.project_id = project_id
        self._sessions = sessions
        self._models = ModelKeeper()
        self._settings: PlanSettings | None = None
        self._filling = False
        self._renewed: Basis | None = None
        self._renewal: Renewal | None = None
        # For a strategy that ranks prompts: how many it ranked together, and how many came since.
        self._ranked = 0
        self._unranked = 0
        # For a strategy over the whole collection: prompts nothing of which has been looked at.
        self._unscanned: set[int] = set()

    def has_work(self, outlook: Outlook) -> bool:
        """Whether a step could do anything."""
        strategy = find_strategy(outlook.settings.strategy)
        return (
            outlook.outgrown
            or outlook.settings != self._settings
            or self._is_to_be_topped_up(outlook, strategy)
            or (strategy.learns and self._models.is_due(outlook.counted_labels))
            or self._is_to_be_renewed(outlook, strategy)
        )

    def note_arrived(self, prompt_ids: Iterable[int]) -> None:
        """Prompts have arrived in the plan."""
        self._unscanned.update(prompt_ids)

    async def step(self) -> bool:
        """Do a bounded part of what there is to do; gives whether anything was done."""
        project, changes = await self._take_out_and_top_up()
        if project is None:
            return False
        strategy = find_strategy(project.settings.strategy)
        if not strategy.collection_wide:
            self._unscanned.clear()
        elif self._renewal is None and not self._is_to_be_renewed(project, strategy):
            changes += await self._top_up_collection(project, strategy)
        if self._filling:
            return changes > 0
        return await self._learn_and_renew(project, strategy) or changes > 0

    async def _take_out_and_top_up(self) -> tuple[Outlook | None, int]:
        async with self._sessions.begin() as session:
            project = await begin_planning(session, self.project_id)
            if project is None or project.dimensions is None:
                return None, 0
            changes = await self._take_out(session, project)
            if changes:
                project = await begin_planning(session, self.project_id)
                assert project is not None
            strategy = find_strategy(project.settings.strategy)
            filling = False
            if not strategy.collection_wide and self._is_to_be_topped_up(project, strategy):
                fill = self._filling or project.horizon is None
                added = await top_up_by_round(
                    session, project, strategy, self._models.model, fill=fill
                )
                self._unranked += added
                changes += added
                filling = fill and added > 0
            if changes:
                await notify(session, Channel.PLAN_CHANGED, str(self.project_id))
        self._settings, self._filling = project.settings, filling
        return project, changes

    async def _take_out(self, session: AsyncSession, project: Outlook) -> int:
        """Take out of the plan what nobody has seen and the project's settings do not allow."""
        changes = 0
        if project.settings != self._settings:
            changes += await unseen_queries.apply_settings(
                session, self.project_id, project.settings
            )
        if project.outgrown:
            outgrown = await unseen_queries.remove_outgrown(
                session, self.project_id, _OUTGROWN_AT_A_TIME
            )
            changes += len(outgrown)
            self._unscanned.update(outgrown)
        return changes

    def _is_to_be_topped_up(self, outlook: Outlook, strategy: Strategy) -> bool:
        if strategy.collection_wide:
            is_short = outlook.plannable and outlook.horizon is None
            return is_short or bool(self._unscanned)
        return outlook.is_low or (self._filling and outlook.plannable)

    async def _top_up_collection(self, project: Outlook, strategy: Strategy) -> int:
        """Plan what has come, or the next pairs of the whole collection."""
        if not self._is_to_be_topped_up(project, strategy):
            return 0
        unscanned, self._unscanned = self._unscanned, set()
        try:
            if project.horizon is None:
                best = await best_of_collection(self._sessions, project, strategy)
            else:
                async with self._sessions() as session:
                    best = await best_of_prompts(session, project, strategy, sorted(unscanned))
            return await self._insert(best)
        except BaseException:
            self._unscanned |= unscanned
            raise

    async def _insert(self, best: Sequence[ChosenPair]) -> int:
        """Put in what was chosen without a lock, unless the project has changed meanwhile."""
        if not best:
            return 0
        async with self._sessions.begin() as session:
            project = await begin_planning(session, self.project_id)
            if project is None or project.settings != self._settings:
                self._renewed = None
                return 0
            room = PLAN_AHEAD
            if project.horizon is None:
                room -= await plan_pair_queries.count_open(session, self.project_id, PLAN_AHEAD)
            pairs = await price(session, project, best[:room])
            added = await plan_pair_queries.insert_pairs(session, self.project_id, pairs)
            if added:
                await notify(session, Channel.PLAN_CHANGED, str(self.project_id))
            return added

    def _basis(self, settings: PlanSettings, strategy: Strategy) -> Basis:
        fits = self._models.fits if strategy.learns else 0
        return Basis(settings.strategy, settings.pricing, fits)

    def _is_to_be_renewed(self, outlook: Outlook, strategy: Strategy) -> bool:
        return (
            self._renewal is not None
            or self._renewed != self._basis(outlook.settings, strategy)
            or outlook.foreign
            or self._is_to_be_ranked(strategy)
        )

    def _is_to_be_ranked(self, strategy: Strategy) -> bool:
        has_grown = self._unranked > _GROWTH * self._ranked
        return strategy.ranks_prompts and has_grown and not self._models.is_resting

    async def _learn_and_renew(self, project: Outlook, strategy: Strategy) -> bool:
        if not strategy.learns:
            self._models.forget()
        elif self._renewal is None and self._models.is_due(project.counted_labels):
            await self._models.fit(self._sessions, project)
            return True
        if not self._is_to_be_renewed(project, strategy):
            return False
        basis = self._basis(project.settings, strategy)
        if self._renewal is None or self._renewal.basis != basis:
            self._renewal = await self._begin_renewal(project, strategy, basis)
        try:
            return await self._renew(project, self._renewal, strategy)
        except BaseException:
            self._renewal = None
            raise

    async def _begin_renewal(self, project: Outlook, strategy: Strategy, basis: Basis) -> Renewal:
        if strategy.collection_wide:
            self._unscanned.clear()
            best = await best_of_collection(self._sessions, project, strategy, anew=True)
            return await start_of_collection(self._sessions, project, basis, best)
        return await start_by_round(self._sessions, project, basis, strategy, self._models.model)

    async def _renew(self, project: Outlook, renewal: Renewal, strategy: Strategy) -> bool:
        """Do a part of a renewal; gives whether that led any further."""
        began = time.monotonic()
        left = len(renewal)
        if left:
            replacements = await renewal.next_replacements(self._sessions, project)
            for start in range(0, len(replacements), PROMPTS_AT_A_TIME):
                part = replacements[start : start + PROMPTS_AT_A_TIME]
                if not await self._replace(renewal, part):
                    self._renewal = None
                    return True
        if strategy.reads_prompts:
            self._models.rest(time.monotonic() - began)
        if not len(renewal):
            self._renewal, self._renewed = None, renewal.basis
            self._ranked, self._unranked = renewal.size, 0
            if renewal.size:
                log.info("plan renewed", project=self.project_id, prompts=renewal.size)
            return True
        return len(renewal) < left

    async def _replace(self, renewal: Renewal, part: Sequence[Replacement]) -> bool:
        """Replace pairs in one transaction, unless the project has changed since they were chosen.

        What has happened to a prompt meanwhile is for the renewal to look at again.
        """
        async with self._sessions.begin() as session:
            project = await begin_planning(session, self.project_id)
            if project is None or project.settings != self._settings:
                return False
            replaced = await replace_pairs(session, project, part)
            if replaced.changes:
                await notify(session, Channel.PLAN_CHANGED, str(self.project_id))
        renewal.put_back(replaced.put_back)
        return True
