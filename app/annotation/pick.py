"""Choose what to hand out: the first open pairs of the plan whose cost still fits."""

import math
from collections import deque
from collections.abc import Sequence
from dataclasses import dataclass, field
from decimal import Decimal

from sqlalchemy.ext.asyncio import AsyncSession

from app.accounts.service import Principal
from app.annotation import ledger
from app.annotation.queries import claim as queries
from app.annotation.queries.claim import OpenPair, Search, Situation
from app.storage.arm import Arm
from app.storage.tables import Project


async def read_situation(
    session: AsyncSession, project: Project, principal: Principal, limit: int
) -> Situation:
    """What a claim of at most ``limit`` pairs starts from; ``project`` is locked.

    The open pairs in it are those of the arm that is due first.
    """
    due, _ = _arms_by_turn(project, explored=0, picked=0)
    return await queries.read_situation(session, _search(project, principal, due, limit))


@dataclass(slots=True)
class Picks:
    """The pairs to hand out."""

    costs: dict[OpenPair, Decimal] = field(default_factory=dict)
    """Each with its cost, in the order of the plan."""
    waits_for_strategy: bool = False
    """There are no more, because the strategy's next pair is not in the plan yet."""


async def pick_pairs(
    session: AsyncSession,
    project: Project,
    principal: Principal,
    wanted: int,
    situation: Situation,
) -> Picks:
    """The first open pairs whose cost still fits, at most ``wanted``.

    The arms take turns so that exploration has its share of all assignments, evenly. Exploration
    gets more than that only when the strategy has nothing left for this annotator. While a plan is
    being filled, its exploration pairs are there first: then they wait for the strategy's. The
    strategy does not wait for exploration, which catches up later.

    ``situation`` has just been read.
    """
    queues = {
        arm: _ArmQueue(session, project, principal, arm, wanted)
        for arm in (Arm.STRATEGY, Arm.EXPLORATION)
    }
    due, other = _arms_by_turn(project, explored=0, picked=0)
    queues[due].add(situation.first_open)
    picks = Picks()
    explored = 0
    promised = Decimal(0)
    is_strategy_over = False
    while len(picks.costs) < wanted:
        pair = await queues[due].next(promised)
        if pair is None and due is Arm.STRATEGY and not is_strategy_over:
            if await _is_strategy_to_come(session, project, queues[due], promised, situation):
                pair = await queues[due].look_again(promised)
                if pair is None:
                    picks.waits_for_strategy = True
                    break
            else:
                is_strategy_over = True
        pair = pair or await queues[other].next(promised)
        if pair is None:
            break
        picks.costs[pair] = ledger.expected_cost(project, pair.expected_seconds)
        promised += picks.costs[pair]
        explored += pair.arm is Arm.EXPLORATION
        due, other = _arms_by_turn(project, explored=explored, picked=len(picks.costs))
    return picks


async def _is_strategy_to_come(
    session: AsyncSession,
    project: Project,
    queue: "_ArmQueue",
    promised: Decimal,
    situation: Situation,
) -> bool:
    """Whether the strategy, whose queue is empty, will have pairs that fit.

    Some may have entered the plan just now, or the planner may have them locked. If only pairs that
    do not fit are left, exploration need not wait for others like them.
    """
    outlook = await queries.read_strategy_outlook(session, project, queue.search(promised))
    if outlook.has_fitting_pairs:
        return True
    if outlook.has_open_pairs or queue.has_passed_over:
        return False
    is_intake_under_way = situation.pending_prompts > 0 or situation.unplanned_prompts > 0
    return outlook.has_more_to_plan or is_intake_under_way


def _arms_by_turn(project: Project, *, explored: int, picked: int) -> tuple[Arm, Arm]:
    """The arm whose turn it is after so many picks, and the other."""
    explored += project.exploration_assigned
    assigned = project.exploration_assigned + project.strategy_assigned + picked
    if explored + 1 <= project.exploration * (assigned + 1):
        return Arm.EXPLORATION, Arm.STRATEGY
    return Arm.STRATEGY, Arm.EXPLORATION


class _ArmQueue:
    """The open pairs of one arm in the order of the plan, read when the first is wanted."""

    def __init__(
        self, session: AsyncSession, project: Project, principal: Principal, arm: Arm, limit: int
    ) -> None:
        self._session = session
        self._project = project
        self._principal = principal
        self._arm = arm
        self._limit = limit
        self._pairs: deque[OpenPair] = deque()
        self._seen: list[int] = []
        self._is_read_to_the_end = False
        self.has_passed_over = False
        """Whether a pair did not fit."""

    def add(self, pairs: Sequence[OpenPair]) -> None:
        """Append pairs just read; an empty list means that there are no more."""
        self._pairs.extend(pairs)
        # A pair that did not fit may hide a shorter one; where costs are equal, there is none.
        is_cost_equal = self._project.unit == "labels" or self._project.budget_limit is None
        self._is_read_to_the_end = is_cost_equal or not pairs

    async def look_again(self, promised: Decimal) -> OpenPair | None:
        """The next pair after all had been read: one that entered the plan meanwhile, say."""
        self._is_read_to_the_end = False
        return await self.next(promised)

    async def next(self, promised: Decimal) -> OpenPair | None:
        """The next pair that fits what remains of the budget less what is promised already."""
        while True:
            while self._pairs:
                pair = self._pairs.popleft()
                self._seen.append(pair.id)
                cost = ledger.expected_cost(self._project, pair.expected_seconds)
                if ledger.fits(self._project, promised + cost):
                    return pair
                self.has_passed_over = True
            if self._is_read_to_the_end:
                return None
            self.add(await queries.find_open_pairs(self._session, self.search(promised)))

    def search(self, promised: Decimal) -> Search:
        """The search for pairs that have not been read, and fit."""
        return _search(self._project, self._principal, self._arm, self._limit, promised, self._seen)


def _search(
    project: Project,
    principal: Principal,
    arm: Arm,
    limit: int,
    promised: Decimal = Decimal(0),
    except_ids: Sequence[int] = (),
) -> Search:
    longest = ledger.longest_that_fits(project, promised)
    return Search(
        project_id=project.id,
        annotator_id=principal.id,
        annotator=principal.name,
        arm=arm,
        longest_seconds=math.inf if longest is None else longest,
        # If nothing fits, do not search the whole plan for it.
        limit=limit if longest is None or longest >= 0 else 0,
        except_ids=list(except_ids),
    )
