"""Hand out pairs: one claim, one transaction."""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from enum import StrEnum

from sqlalchemy.ext.asyncio import AsyncSession

from app.accounts.service import Principal
from app.annotation import ledger
from app.annotation.pick import pick_pairs, read_situation
from app.annotation.queries import claim as queries
from app.annotation.queries.claim import HeldPair
from app.annotation.release import lapse_expired
from app.errors import Unauthenticated
from app.projects import service as projects
from app.storage.notifications import Channel, notify
from app.storage.tables import Project

_CLAIMS_BETWEEN_PLANS = 256
_RETRY_SECONDS_PENDING = 2
_RETRY_SECONDS_LONGEST = 30


class Status(StrEnum):
    """Whether an annotator got pairs, and if not, why."""

    OK = "ok"
    WAITING = "waiting"
    """Pairs may come: ask again later."""
    EXHAUSTED = "exhausted"
    """The budget is spent."""
    COMPLETE = "complete"
    """Nothing is left for this annotator, and nothing more will come."""


@dataclass(frozen=True, slots=True)
class ClaimRequest:
    """Who wants how many pairs of which project. ``lease_seconds`` None: the project's lease."""

    principal: Principal
    project_name: str
    budget: int
    lease_seconds: int | None = None


@dataclass(frozen=True, slots=True)
class Claim:
    """The pairs that an annotator holds now, and the reason if there are none."""

    pairs: Sequence[HeldPair]
    project: Project
    pending_prompts: int
    status: Status
    retry_after: int | None


async def claim_pairs(session: AsyncSession, request: ClaimRequest) -> Claim:
    """Reserve up to ``request.budget`` of the plan's first open pairs for one annotator.

    Pairs that the annotator already holds come first and are not renewed, so that asking again is
    harmless. If somebody else's lease is over, the pair is free to claim. Times are the database's.

    Raises:
        UnknownProject: no project has that name, or it is not one of the annotator's.
        Unauthenticated: the annotator has been deactivated, perhaps while the request waited.
    """
    project = await projects.lock_project_by_name(session, request.project_name, request.principal)
    principal = request.principal
    situation = await read_situation(session, project, principal, request.budget)
    if not situation.is_active:
        raise Unauthenticated("no active annotator has this key")
    is_renamed = situation.annotator != principal.name
    if is_renamed:
        principal = replace(principal, name=situation.annotator)
    if situation.has_expired_leases:
        await lapse_expired(session, project)
    if is_renamed or situation.has_expired_leases:
        situation = await read_situation(session, project, principal, request.budget)
    wanted = request.budget - situation.held
    picks = await pick_pairs(session, project, principal, wanted, situation)
    held: Sequence[HeldPair] = []
    if picks.costs:
        held, totals = await queries.hand_out(
            session,
            project.id,
            principal.id,
            picks.costs,
            lease_seconds=request.lease_seconds or project.lease_seconds,
        )
        ledger.note_totals(project, totals)
    if len(picks.costs) < wanted or _is_time_to_plan(project, len(picks.costs)):
        await notify(session, Channel.PLAN_LOW, str(project.id))
    if situation.held:
        held = await queries.held_pairs(session, project.id, principal.id, limit=request.budget)
    if held:
        return Claim(held, project, situation.pending_prompts, Status.OK, None)
    is_intake_under_way = bool(situation.pending_prompts or situation.unplanned_prompts)
    status, retry_after = await _why_nothing(
        session,
        project,
        principal,
        is_intake_under_way=is_intake_under_way,
        waits_for_strategy=picks.waits_for_strategy,
    )
    return Claim([], project, situation.pending_prompts, status, retry_after)


def _is_time_to_plan(project: Project, just_assigned: int) -> bool:
    before = project.strategy_assigned + project.exploration_assigned
    after = before + just_assigned
    return before // _CLAIMS_BETWEEN_PLANS != after // _CLAIMS_BETWEEN_PLANS


async def _why_nothing(
    session: AsyncSession,
    project: Project,
    principal: Principal,
    *,
    is_intake_under_way: bool,
    waits_for_strategy: bool,
) -> tuple[Status, int | None]:
    outlook = await queries.read_outlook(session, project, principal)
    lapse = outlook.seconds_to_next_lapse
    until_lapse = (
        _RETRY_SECONDS_LONGEST
        if lapse is None
        else max(1, min(_RETRY_SECONDS_LONGEST, round(lapse + 0.5)))
    )
    longest = ledger.longest_that_fits(project)
    is_spent = longest is not None and longest <= 0
    fits_none = outlook.has_open_pairs and longest is not None and not waits_for_strategy
    if is_spent or fits_none:
        if project.reserved:
            return Status.WAITING, until_lapse
        return Status.EXHAUSTED, None
    if (
        waits_for_strategy
        or is_intake_under_way
        or outlook.is_importing
        or outlook.has_more_to_plan
        or outlook.has_open_pairs
    ):
        return Status.WAITING, _RETRY_SECONDS_PENDING
    if lapse is not None:
        return Status.WAITING, until_lapse
    return Status.COMPLETE, None
