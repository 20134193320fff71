"""Hand out pairs: one claim, one transaction."""

from collections.abc import Sequence
from dataclasses import dataclass
from enum import StrEnum

from sqlalchemy import text
from sqlalchemy.ext.asyncio import AsyncSession

from app.accounts.service import Principal
from app.annotation import ledger
from app.annotation.pick import EXPLORATION, OpenPair, look, pick
from app.annotation.queries import claims as queries
from app.annotation.queries.claims import HeldPair
from app.annotation.release import lapse_expired
from app.errors import Unauthenticated
from app.projects import service as projects
from app.storage.notifications import Channel, notify
from app.storage.tables import Project

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
    now = await look(session, project, principal, request.budget)
    if not now.standing.is_active:
        raise Unauthenticated("no active annotator has this key")
    if now.standing.is_any_expired:
        await lapse_expired(session, project)
        now = await look(session, project, principal, request.budget)
    standing = now.standing
    wanted = request.budget - standing.held
    picked = await pick(session, project, principal, wanted, now)
    held: Sequence[HeldPair] = []
    if picked:
        held = await _hand_out(session, project, picked, principal.id, request.lease_seconds)
    if len(picked) < wanted or _is_time_to_plan(project, len(picked)):
        await notify(session, Channel.PLAN_LOW, str(project.id))
    if standing.held:
        held = await queries.held_pairs(session, project.id, principal.id, limit=request.budget)
    if held:
        return Claim(held, project, standing.pending_prompts, Status.OK, None)
    is_intake_under_way = bool(standing.pending_prompts or standing.unplanned_prompts)
    status, retry_after = await _why_nothing(
        session, project, principal, is_intake_under_way=is_intake_under_way
    )
    return Claim([], project, standing.pending_prompts, status, retry_after)


# The side is drawn once, and kept when the pair comes back to its annotator. The ledger's entries
# are written here as ``ledger.record`` writes them: every claim is one statement shorter by that.
_HAND_OUT = text(
    f"""
    WITH picked AS (
        SELECT * FROM unnest(CAST(:pair_ids AS bigint[]), CAST(:costs AS numeric[]))
        WITH ORDINALITY AS picked (pair_id, cost, place)
    ), pairs AS (
        UPDATE pairs SET held = held + 1, handed_out = true
        FROM picked WHERE pairs.id = picked.pair_id
        RETURNING pairs.*
    ), assignments AS (
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
        RETURNING *
    ), entries AS (
        INSERT INTO ledger_entries (project_id, kind, assignment_id, spent, reserved)
        SELECT :project_id, 'reserve', id, 0, reserved FROM assignments ORDER BY id
    ), project AS (
        UPDATE projects
        SET reserved = reserved + (SELECT sum(reserved) FROM assignments),
            strategy_assigned = strategy_assigned + :strategy,
            exploration_assigned = exploration_assigned + :exploration
        WHERE id = :project_id
        RETURNING spent AS all_spent, reserved AS all_reserved
    )
    SELECT all_spent, all_reserved, {queries.HELD_PAIR} CROSS JOIN project
    ORDER BY assignments.id
    """  # noqa: S608 - put together from constants
)


async def _hand_out(
    session: AsyncSession,
    project: Project,
    pairs: Sequence[OpenPair],
    annotator_id: int,
    lease_seconds: int | None,
) -> list[HeldPair]:
    """Hold the pairs and reserve their cost; what the annotator is shown of them."""
    explored = sum(pair.arm == EXPLORATION for pair in pairs)
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
    rows = handed.all()
    ledger.note(project, spent=rows[0].all_spent, reserved=rows[0].all_reserved)
    return [HeldPair(*row[2:]) for row in rows]


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
