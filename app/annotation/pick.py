"""Choose what to hand out: the first open pairs of the plan whose cost still fits."""

import math
from collections import deque
from collections.abc import Sequence
from dataclasses import dataclass
from decimal import Decimal
from typing import Final

from sqlalchemy import text
from sqlalchemy.ext.asyncio import AsyncSession

from app.accounts.service import Principal
from app.annotation import ledger
from app.annotation.queries import claims as queries
from app.annotation.queries.claims import Standing
from app.storage.tables import Project

STRATEGY: Final = "strategy"
EXPLORATION: Final = "exploration"


@dataclass(frozen=True, slots=True)
class OpenPair:
    """A pair of the plan that could be handed out."""

    id: int
    arm: str
    expected_seconds: float


@dataclass(frozen=True, slots=True)
class Look:
    """Where annotator and project stand, and the first open pairs of the arm that is due."""

    standing: Standing
    due: str
    first: Sequence[OpenPair]


# The open pairs of an arm that fit what remains, in the order of the plan: ``ix_pairs_open``, and
# for what the annotator neither holds nor has judged the unique indexes on pair and annotator. The
# project's row is locked, so no other claim is under way: SKIP LOCKED passes over pairs that the
# planner is taking out.
_OPEN: Final = f"""
    SELECT id, arm, expected_seconds, position
    FROM pairs
    WHERE project_id = :project_id AND arm = :arm AND open
        AND expected_seconds <= :longest AND id <> ALL(CAST(:seen AS bigint[]))
        AND {queries.NOT_TAKEN_BY_ANNOTATOR}
    ORDER BY position, id
    LIMIT :limit
    FOR UPDATE SKIP LOCKED
"""  # noqa: S608 - put together from constants
_FIRST_OPEN = text(_OPEN)
_LOOK = text(
    f"""
    WITH standing AS ({queries.STANDING}), first_open AS ({_OPEN})
    SELECT held, is_any_expired, pending, unplanned, active, id AS pair_id, arm, expected_seconds
    FROM standing LEFT JOIN first_open ON true
    ORDER BY position, pair_id
    """  # noqa: S608 - put together from constants
)


async def look(session: AsyncSession, project: Project, principal: Principal, limit: int) -> Look:
    """See how things stand before a claim of at most ``limit`` pairs; ``project`` is locked."""
    due, _ = _arms(project, explored=0, picked=0)
    longest = ledger.longest_that_fits(project)
    rows = (await session.execute(_LOOK, _question(project, principal, due, longest, limit))).all()
    standing = Standing(*rows[0][:5])
    return Look(standing, due, [OpenPair(*row[5:]) for row in rows if row.pair_id is not None])


async def pick(
    session: AsyncSession,
    project: Project,
    principal: Principal,
    wanted: int,
    now: Look,
) -> list[OpenPair]:
    """The first open pairs whose cost still fits, at most ``wanted``; ``now`` as just looked at.

    The arms are dealt so that exploration has its share of all assignments, evenly.
    """
    queues = {
        arm: _Queue(session, project, principal, arm, wanted) for arm in (STRATEGY, EXPLORATION)
    }
    queues[now.due].add(now.first)
    picked: list[OpenPair] = []
    explored = 0
    promised = Decimal(0)
    while len(picked) < wanted:
        due, other = _arms(project, explored=explored, picked=len(picked))
        pair = await queues[due].next(promised) or await queues[other].next(promised)
        if pair is None:
            break
        picked.append(pair)
        explored += pair.arm == EXPLORATION
        promised += ledger.expected_cost(project, pair.expected_seconds)
    return picked


def _arms(project: Project, *, explored: int, picked: int) -> tuple[str, str]:
    """The arm that is due once so many more have been picked, and the other."""
    explored += project.exploration_assigned
    assigned = project.exploration_assigned + project.strategy_assigned + picked
    if explored + 1 <= project.exploration * (assigned + 1):
        return EXPLORATION, STRATEGY
    return STRATEGY, EXPLORATION


class _Queue:
    """The open pairs of one arm in the order of the plan, read when the first is wanted."""

    def __init__(
        self, session: AsyncSession, project: Project, principal: Principal, arm: str, limit: int
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
        """Put at the end what has been read; nothing: there is no more."""
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
            longest = ledger.longest_that_fits(self._project, promised)
            rows = await self._session.execute(
                _FIRST_OPEN,
                _question(
                    self._project, self._principal, self._arm, longest, self._limit, self._seen
                ),
            )
            self.add([OpenPair(row.id, row.arm, row.expected_seconds) for row in rows])


def _question(
    project: Project,
    principal: Principal,
    arm: str,
    longest: float | None,
    limit: int,
    seen: Sequence[int] = (),
) -> dict[str, object]:
    is_any_within = longest is None or longest >= 0
    return {
        "project_id": project.id,
        "arm": arm,
        "annotator_id": principal.id,
        "annotator": principal.name,
        "longest": math.inf if longest is None else longest,
        "seen": list(seen),
        # Where nothing fits, the whole plan would be searched for it.
        "limit": limit if is_any_within else 0,
    }
