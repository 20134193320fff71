"""The budget's ledger: what a pair costs, whether it fits, and every change as an entry.

A project's ``spent`` and ``reserved`` are the sums over its entries. Both change in the statement
that writes the entries (``queries/ledger.py``), while the project's row is locked.
"""

from collections.abc import Sequence
from decimal import Decimal

from sqlalchemy.ext.asyncio import AsyncSession
from sqlalchemy.orm.attributes import set_committed_value

from app.annotation.queries import ledger as queries
from app.annotation.queries.ledger import Change, Totals
from app.storage.tables import Project

_ZERO = Decimal(0)
_ONE_LABEL = Decimal(1)
_STEP = Decimal("0.000001")  # what the ledger's columns hold
_SECONDS_PER_MINUTE = 60
_SECONDS_PER_HOUR = 3600


def expected_cost(project: Project, seconds: float) -> Decimal:
    """What to reserve for a pair that is expected to take ``seconds``, in the budget's unit."""
    return _ONE_LABEL if project.unit == "labels" else _cost_of_time(project, seconds)


def cost_of_label(
    project: Project, *, seconds: float | None, expected_seconds: float, lease_seconds: int
) -> Decimal:
    """What a counted label costs: 1, or its seconds (the expected ones where none were sent)."""
    if project.unit == "labels":
        return _ONE_LABEL
    return _cost_of_time(
        project, min(expected_seconds if seconds is None else seconds, lease_seconds)
    )


def _left(project: Project) -> Decimal | None:
    # Below zero where labels took longer than they were expected to.
    if project.budget_limit is None:
        return None
    return project.budget_limit - project.spent - project.reserved


def fits(project: Project, cost: Decimal) -> bool:
    """Whether a cost fits what is neither spent nor reserved."""
    left = _left(project)
    return left is None or cost <= left


def longest_that_fits(project: Project, promised: Decimal = _ZERO) -> float | None:
    """How many seconds a pair may be expected to take, to fit what remains after ``promised``.

    None: any number. In labels every pair costs the same: any number while a label is left, and
    a negative number, which no pair fits, once none is.
    """
    left = _left(project)
    if left is None:
        return None
    if project.unit == "labels":
        return None if left - promised >= _ONE_LABEL else -1.0
    return float((left - promised) / _cost_of_time(project, 1.0, exact=True))


async def record(session: AsyncSession, project: Project, changes: Sequence[Change]) -> None:
    """Write entries, and move the project's totals by them. ``project`` is locked."""
    note_totals(project, await queries.record(session, project.id, changes))


def note_totals(project: Project, totals: Totals) -> None:
    """Let the session's project have the totals that a statement has written."""
    set_committed_value(project, "spent", totals.total_spent)
    set_committed_value(project, "reserved", totals.total_reserved)


def _cost_of_time(project: Project, seconds: float, *, exact: bool = False) -> Decimal:
    if project.unit == "minutes":
        cost = Decimal(seconds) / _SECONDS_PER_MINUTE
    else:
        assert project.cost_hourly_rate is not None
        cost = Decimal(seconds) * project.cost_hourly_rate / _SECONDS_PER_HOUR
    return cost if exact else cost.quantize(_STEP)
