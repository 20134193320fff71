"""Hand out pairs: one claim, one transaction."""

import math
from collections import deque
from collections.abc import Sequence
from dataclasses import dataclass
from decimal import Decimal
from enum import StrEnum

from sqlalchemy import text
from sqlalchemy.ext.asyncio import AsyncSession

from app.accounts.service import Principal
from app.annotation import ledger, queries
from app.annotation.ledger import Change
from app.annotation.queries import HeldPair
from app.annotation.release import lapse_expired
from app.errors import Unauthenticated
from app.projects import service as projects
from app.storage.notifications import Channel, notify
from app.storage.tables import Project

_STRATEGY = "strategy"
_EXPLORATION = "exploration"
_CLAIMS_BETWEEN_PLANS = 256
_RETRY_SECONDS_PENDING = 2
_RETRY_SECONDS_LONGEST = 30


class Status(StrEnum):
    """What the answer means for an annotator who got nothing."""

    OK = "ok"
    WAITING = "waiting"
    EXHAUSTED = "exhausted"
    COMPLETE = "complete"


@dataclass(frozen=True, slots=True)
class ClaimRequest:
    """Who wants how many pairs of which project, and for how long (None: the project's lease)."""

    principal: Principal
    project_name: str
    budget: int
    lease_seconds: int | None = None


@dataclass(frozen=True, slots=True)
class Claim:
    """What an annotator holds now, at most ``budget`` of it, and why it may be nothing."""

    pairs: Sequence[HeldPair]
    project: Project
    pending_prompts: int
    status: Status
    retry_after: int | None


@dataclass(frozen=True, slots=True)
class OpenPair:
    """A pair of the plan that could be handed out."""

    id: int
    arm: str
    expected_seconds: float


# The open pairs of an arm that fit what remains, in the order of the plan: ``ix_pairs_open``, and
# for what the annotator neither holds nor has judged the unique indexes on pair and annotator. The
# project's row is locked, so no other claim is under way: SKIP LOCKED passes over pairs that the
# planner is taking out.
_FIRST_OPEN = text(
    f"""
    SELECT id, arm, expected_seconds
    FROM pairs
    WHERE project_id = :project_id AND arm = :arm AND open
        AND expected_seconds <= :longest AND id <> ALL(CAST(:seen AS bigint[]))
        AND {queries.NOT_TAKEN_BY_ANNOTATOR}
    ORDER BY position, id
    LIMIT :limit
    FOR UPDATE SKIP LOCKED
    """  # noqa: S608 - put together from constants
)


async def claim_pairs(session: AsyncSession, request: ClaimRequest) -> Claim:
    """Reserve up to ``request.budget`` of the plan's first open pairs for one annotator.

    Pairs the annotator already holds come first and are not renewed, so that asking again is
    harmless. A lapsed assignment of somebody else's is free to claim. Times are the database's.

    Raises:
        UnknownProject: no project has that name, or it is not one of the annotator's.
        Unauthenticated: the annotator has been deactivated, perhaps while the request waited.
    """
    project = await projects.lock_project_by_name(session, request.project_name, request.principal)
    principal = request.principal
    standing = await queries.standing(session, project.id, principal.id)
    if not standing.is_active:
        raise Unauthenticated("no active annotator has this key")
    if standing.is_any_expired:
        await lapse_expired(session, project)
        standing = await queries.standing(session, project.id, principal.id)
    wanted = request.budget - standing.held
    picked = await _pick(session, project, principal, wanted)
    if picked:
        await _hand_out(session, project, picked, principal.id, request.lease_seconds)
    if len(picked) < wanted or _is_time_to_plan(project, len(picked)):
        await notify(session, Channel.PLAN_LOW, str(project.id))
    held: Sequence[HeldPair] = []
    if picked or standing.held:
        held = await queries.held_pairs(session, project.id, principal.id, limit=request.budget)
    if held:
        return Claim(held, project, standing.pending_prompts, Status.OK, None)
    is_intake_under_way = bool(standing.pending_prompts or standing.unplanned_prompts)
    status, retry_after = await _why_nothing(
        session, project, principal, is_intake_under_way=is_intake_under_way
    )
    return Claim([], project, standing.pending_prompts, status, retry_after)


async def _pick(
    session: AsyncSession, project: Project, principal: Principal, wanted: int
) -> list[OpenPair]:
    """The first open pairs whose cost still fits, at most ``wanted``.

    The arms are dealt so that exploration has its share of all assignments, evenly.
    """
    queues = {
        arm: _Queue(session, project, principal, arm, wanted) for arm in (_STRATEGY, _EXPLORATION)
    }
    explored = project.exploration_assigned
    assigned = project.strategy_assigned + explored
    picked: list[OpenPair] = []
    promised = Decimal(0)
    while len(picked) < wanted:
        is_due = explored + 1 <= project.exploration * (assigned + 1)
        first, other = (_EXPLORATION, _STRATEGY) if is_due else (_STRATEGY, _EXPLORATION)
        pair = await queues[first].next(promised) or await queues[other].next(promised)
        if pair is None:
            break
        picked.append(pair)
        promised += ledger.expected_cost(project, pair.expected_seconds)
        assigned += 1
        explored += pair.arm == _EXPLORATION
    return picked


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
            await self._read(ledger.longest_that_fits(self._project, promised))

    async def _read(self, longest: float | None) -> None:
        if longest is not None and longest < 0:
            self._is_read_to_the_end = True  # nothing fits; the whole plan would be searched for it
            return
        rows = await self._session.execute(
            _FIRST_OPEN,
            {
                "project_id": self._project.id,
                "arm": self._arm,
                "annotator_id": self._principal.id,
                "annotator": self._principal.name,
                "longest": math.inf if longest is None else longest,
                "seen": self._seen,
                "limit": self._limit,
            },
        )
        self._pairs.extend(OpenPair(*row) for row in rows)
        # A pair that did not fit may hide a shorter one; where costs are equal, there is none.
        is_cost_equal = self._project.unit == "labels" or self._project.budget_limit is None
        self._is_read_to_the_end = is_cost_equal or len(self._pairs) == 0


# The side is drawn once, and kept when the pair comes back to its annotator.
_HAND_OUT = text(
    """
    WITH picked AS (
        SELECT * FROM unnest(CAST(:pair_ids AS bigint[]), CAST(:costs AS numeric[]))
        WITH ORDINALITY AS picked (pair_id, cost, place)
    ), held AS (
        UPDATE pairs SET held = held + 1, handed_out = true
        FROM picked WHERE pairs.id = picked.pair_id
    ), dealt AS (
        UPDATE projects
        SET strategy_assigned = strategy_assigned + :strategy,
            exploration_assigned = exploration_assigned + :exploration
        WHERE id = :project_id
    )
    INSERT INTO assignments (
        project_id, pair_id, annotator_id, swapped, status, lease_seconds, expires_at, reserved
    )
    SELECT
        :project_id, pair_id, :annotator_id, random() < 0.5, 'held', :lease_seconds,
        clock_timestamp() + make_interval(secs => :lease_seconds), cost
    FROM picked
    ORDER BY place
    ON CONFLICT (pair_id, annotator_id) DO UPDATE
    SET status = 'held', lease_seconds = excluded.lease_seconds,
        expires_at = excluded.expires_at, reserved = excluded.reserved
    RETURNING id, reserved
    """
)


async def _hand_out(
    session: AsyncSession,
    project: Project,
    pairs: Sequence[OpenPair],
    annotator_id: int,
    lease_seconds: int | None,
) -> None:
    explored = sum(pair.arm == _EXPLORATION for pair in pairs)
    handed = await session.execute(
        _HAND_OUT,
        {
            "project_id": project.id,
            "annotator_id": annotator_id,
            "lease_seconds": lease_seconds or project.lease_seconds,
            "pair_ids": [pair.id for pair in pairs],
            "strategy": len(pairs) - explored,
            "exploration": explored,
            "costs": [ledger.expected_cost(project, pair.expected_seconds) for pair in pairs],
        },
    )
    changes = [Change("reserve", reserved=row.reserved, assignment_id=row.id) for row in handed]
    await ledger.record(session, project, changes)


def _is_time_to_plan(project: Project, just_assigned: int) -> bool:
    before = project.strategy_assigned + project.exploration_assigned
    after = before + just_assigned
    return before // _CLAIMS_BETWEEN_PLANS != after // _CLAIMS_BETWEEN_PLANS


async def _why_nothing(
    session: AsyncSession, project: Project, principal: Principal, *, is_intake_under_way: bool
) -> tuple[Status, int | None]:
    outlook = await queries.outlook(session, project, principal)
    lapse = outlook.seconds_to_next_lapse
    until_lapse = (
        _RETRY_SECONDS_LONGEST
        if lapse is None
        else max(1, min(_RETRY_SECONDS_LONGEST, round(lapse + 0.5)))
    )
    longest = ledger.longest_that_fits(project)
    nothing_left = longest is not None and longest <= 0
    if nothing_left or (outlook.open_for_annotator and longest is not None):
        # Pairs are open, or would be, but none fits what remains.
        if project.reserved:
            return Status.WAITING, until_lapse
        return Status.EXHAUSTED, None
    if is_intake_under_way or outlook.more_to_plan or outlook.open_for_annotator:
        return Status.WAITING, _RETRY_SECONDS_PENDING
    if lapse is not None:
        return Status.WAITING, until_lapse
    return Status.COMPLETE, None
