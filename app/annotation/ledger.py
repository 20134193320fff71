"""The budget's ledger: what a pair costs, whether it fits, and every change as an entry.

A project's ``spent`` and ``reserved`` are the sums over its entries; both change together, in one
statement, while the project's row is locked: here, and for speed in the statements of the claim
(``claim.py``) and of the labels (``settle_queries.py``).
"""

from collections.abc import Sequence
from dataclasses import dataclass
from decimal import Decimal

from sqlalchemy import text
from sqlalchemy.ext.asyncio import AsyncSession
from sqlalchemy.orm.attributes import set_committed_value

from app.storage.tables import Project

_ZERO = Decimal(0)
_ONE_LABEL = Decimal(1)
_STEP = Decimal("0.000001")  # what the ledger's columns hold
_SECONDS_PER_MINUTE = 60
_SECONDS_PER_HOUR = 3600


@dataclass(frozen=True, slots=True)
class Change:
    """One entry to be: by how much ``spent`` and ``reserved`` change, and for what."""

    kind: str
    spent: Decimal = _ZERO
    reserved: Decimal = _ZERO
    assignment_id: int | None = None
    label_id: int | None = None


def expected_cost(project: Project, seconds: float) -> Decimal:
    """What to reserve for a pair that is expected to take so many seconds, in the budget's unit."""
    return _ONE_LABEL if project.unit == "labels" else _cost_of_time(project, seconds)


def cost_of_label(
    project: Project, *, seconds: float | None, expected_seconds: float, lease_seconds: int
) -> Decimal:
    """What a counted label costs: 1, or its seconds; the expected where they are missing."""
    if project.unit == "labels":
        return _ONE_LABEL
    return _cost_of_time(
        project, min(expected_seconds if seconds is None else seconds, lease_seconds)
    )


def cost_of_skip(
    project: Project, *, seconds: float | None, expected_seconds: float, lease_seconds: int
) -> Decimal:
    """What a skip costs: nothing in labels; in minutes and money its time was spent."""
    if project.unit == "labels":
        return _ZERO
    return cost_of_label(
        project,
        seconds=seconds,
        expected_seconds=expected_seconds,
        lease_seconds=lease_seconds,
    )


def _left(project: Project) -> Decimal | None:
    # Below zero where labels took longer than they were expected to.
    if project.budget_limit is None:
        return None
    return project.budget_limit - project.spent - project.reserved


def fits(project: Project, cost: Decimal) -> bool:
    """Whether a cost is within what neither is spent nor reserved."""
    left = _left(project)
    return left is None or cost <= left


def longest_that_fits(project: Project, promised: Decimal = _ZERO) -> float | None:
    """The most expected seconds a pair may have to fit what remains less what is promised.

    None for no bound. In labels every pair costs the same: no bound while a label is left, else
    a negative one, which no pair is within.
    """
    left = _left(project)
    if left is None:
        return None
    if project.unit == "labels":
        return None if left - promised >= _ONE_LABEL else -1.0
    return float((left - promised) / _cost_of_time(project, 1.0, exact=True))


_RECORD = text(
    """
    WITH entries AS (
        INSERT INTO ledger_entries (project_id, kind, assignment_id, label_id, spent, reserved)
        SELECT :project_id, kind, assignment_id, label_id, spent, reserved
        FROM unnest(
            CAST(:kinds AS text[]), CAST(:assignment_ids AS bigint[]),
            CAST(:label_ids AS bigint[]), CAST(:spents AS numeric[]), CAST(:reserveds AS numeric[])
        ) AS entry (kind, assignment_id, label_id, spent, reserved)
        RETURNING spent, reserved
    ), totals AS (
        SELECT sum(spent) AS spent, sum(reserved) AS reserved FROM entries
    )
    UPDATE projects
    SET spent = projects.spent + totals.spent, reserved = projects.reserved + totals.reserved
    FROM totals
    WHERE projects.id = :project_id
    RETURNING projects.spent, projects.reserved
    """
)


async def record(session: AsyncSession, project: Project, changes: Sequence[Change]) -> None:
    """Write entries, and move the project's counters by them, in one statement."""
    if not changes:
        return
    row = await session.execute(
        _RECORD,
        {
            "project_id": project.id,
            "kinds": [change.kind for change in changes],
            "assignment_ids": [change.assignment_id for change in changes],
            "label_ids": [change.label_id for change in changes],
            "spents": [change.spent for change in changes],
            "reserveds": [change.reserved for change in changes],
        },
    )
    spent, reserved = row.one()
    note(project, spent=spent, reserved=reserved)


def note(project: Project, *, spent: Decimal, reserved: Decimal) -> None:
    """Let the session's project know what a statement has made of its counters."""
    set_committed_value(project, "spent", spent)
    set_committed_value(project, "reserved", reserved)


def _cost_of_time(project: Project, seconds: float, *, exact: bool = False) -> Decimal:
    if project.unit == "minutes":
        cost = Decimal(seconds) / _SECONDS_PER_MINUTE
    else:
        assert project.cost_hourly_rate is not None
        cost = Decimal(seconds) * project.cost_hourly_rate / _SECONDS_PER_HOUR
    return cost if exact else cost.quantize(_STEP)
