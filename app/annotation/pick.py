"""Choose what to hand out: the first open pairs of the plan whose cost still fits."""

import math
from collections import deque
from collections.abc import Sequence
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


async def pick_pairs(
    session: AsyncSession,
    project: Project,
    principal: Principal,
    wanted: int,
    situation: Situation,
) -> dict[OpenPair, Decimal]:
    """The first open pairs whose cost still fits, at most ``wanted``, each with its cost.

    The arms take turns so that exploration has its share of all assignments, evenly.
    ``situation`` has just been read.
    """
    queues = {
        arm: _ArmQueue(session, project, principal, arm, wanted)
        for arm in (Arm.STRATEGY, Arm.EXPLORATION)
    }
    due, other = _arms_by_turn(project, explored=0, picked=0)
    queues[due].add(situation.first_open)
    picked: dict[OpenPair, Decimal] = {}
    explored = 0
    promised = Decimal(0)
    while len(picked) < wanted:
        pair = await queues[due].next(promised) or await queues[other].next(promised)
        if pair is None:
            break
        picked[pair] = ledger.expected_cost(project, pair.expected_seconds)
        promised += picked[pair]
        explored += pair.arm is Arm.EXPLORATION
        due, other = _arms_by_turn(project, explored=explored, picked=len(picked))
    return picked


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

    def add(self, pairs: Sequence[OpenPair]) -> None:
        """Append pairs just read; an empty list means that there are no more."""
        self._pairs.extend(pairs)
        # A pair that did not fit may hide a shorter one; where costs are equal, there is none.
        is_cost_equal = self._project.unit == "labels" or self._project.budget_limit is None
        self._is_read_to_the_end = is_cost_equal or not pairs

    async def next(self, promised: Decimal) -> OpenPair | None:
        """The next pair that fits what remains of the budget less what is promised already."""
        while True:
            while self._pairs:
                pair = self._pairs.popleft()
                self._seen.append(pair.id)
                cost = ledger.expected_cost(self._project, pair.expected_seconds)
                if ledger.fits(self._project, promised + cost):
                    return pair
            if self._is_read_to_the_end:
                return None
            search = _search(
                self._project, self._principal, self._arm, self._limit, promised, self._seen
            )
            self.add(await queries.find_open_pairs(self._session, search))


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
