"""Verify, on a live database, that every stored count is right."""

from collections.abc import Sequence
from dataclasses import dataclass
from decimal import Decimal
from typing import Final

from sqlalchemy.ext.asyncio import AsyncSession

from app.annotation.queries import verify as queries
from app.storage.ids import encode
from app.storage.tables import Project

MAX_DIFFERENCES: Final = 1000
"""How many differences one check lists: for a broken ledger, the first ones are enough."""


@dataclass(frozen=True, slots=True)
class Difference:
    """A stored count that is wrong. ``subject`` is empty for a count of the project itself."""

    project: str
    subject: str
    what: str
    recorded: Decimal | None
    actual: Decimal


@dataclass(frozen=True, slots=True)
class Verification:
    """The projects that were checked, at one instant, and the differences found."""

    projects: Sequence[Project]
    differences: Sequence[Difference]


async def verify(session: AsyncSession) -> Verification:
    """All projects and their differences, at one instant.

    The session's transaction must not have begun: it becomes one that reads a single snapshot, so
    the service may keep running.
    """
    await queries.freeze(session)
    return Verification(await queries.read_projects(session), await find_differences(session))


async def find_differences(session: AsyncSession) -> list[Difference]:
    """The differences that the session's transaction sees. Each check alone is of one instant."""
    return [
        Difference(
            row.project,
            "" if kind is None else encode(kind, row.subject),
            row.what,
            row.recorded,
            row.actual,
        )
        for kind, row in await queries.read_differences(session, limit=MAX_DIFFERENCES)
    ]
