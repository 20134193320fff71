"""Verify, on a live database, that everything that is counted is what it counts."""

from collections.abc import Sequence
from dataclasses import dataclass
from decimal import Decimal
from typing import Final

from sqlalchemy.ext.asyncio import AsyncSession

from app.annotation.queries import verify as queries
from app.storage.ids import IdKind, encode

MOST_TOLD: Final = 1000
"""Differences that one check tells of at most: of a broken ledger, the first are enough."""


@dataclass(frozen=True, slots=True)
class Difference:
    """Something whose count is not what it counts. ``subject`` is empty for the project itself."""

    project: str
    subject: str
    what: str
    recorded: Decimal | None
    actual: Decimal

    def __str__(self) -> str:
        """In one line, for a failed assertion or a log."""
        where = f"{self.project} {self.subject}".strip()
        return f"{where}: {self.what}: {self.recorded} recorded, {self.actual} found"


@dataclass(frozen=True, slots=True)
class VerifiedProject:
    """A project's counters, as the checks found them."""

    name: str
    unit: str
    limit: Decimal | None
    spent: Decimal
    reserved: Decimal
    counted_labels: int
    surplus_labels: int


@dataclass(frozen=True, slots=True)
class Verification:
    """What was looked at, at one instant, and what differs in it."""

    projects: Sequence[VerifiedProject]
    differences: Sequence[Difference]


async def verify(session: AsyncSession) -> list[Difference]:
    """What differs from what it should be, of all projects, at one instant; [] if nothing.

    The session's transaction must not have begun: it becomes one that reads a single snapshot, so
    the service may run meanwhile.
    """
    await queries.freeze(session)
    return await find_differences(session)


async def verify_projects(session: AsyncSession) -> Verification:
    """``verify``, with the projects that were looked at."""
    await queries.freeze(session)
    projects = [VerifiedProject(**row._mapping) for row in await queries.read_projects(session)]
    return Verification(projects, await find_differences(session))


async def find_differences(session: AsyncSession) -> list[Difference]:
    """What differs as the session's transaction sees it; each check by itself is of one instant."""
    differences: list[Difference] = []
    for check, kind in (
        (queries.differences_of_projects, None),
        (queries.differences_of_pairs, IdKind.PAIR),
        (queries.differences_of_assignments, IdKind.ASSIGNMENT),
        (queries.differences_of_labels, IdKind.LABEL),
    ):
        for row in await check(session, most=MOST_TOLD):
            subject = "" if kind is None else encode(kind, row.subject)
            differences.append(Difference(row.project, subject, row.what, row.recorded, row.actual))
    return differences
