"""Verify, on a live database, that every stored count is right."""

from collections.abc import Sequence
from dataclasses import dataclass
from decimal import Decimal
from typing import Final

from sqlalchemy.ext.asyncio import AsyncSession

from app.annotation.queries import verify as queries
from app.storage.ids import IdKind, encode
from app.storage.sql import read_as

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
    """The projects that were checked, at one instant, and the differences found."""

    projects: Sequence[VerifiedProject]
    differences: Sequence[Difference]


async def verify(session: AsyncSession) -> list[Difference]:
    """All differences in all projects, at one instant.

    The session's transaction must not have begun: it becomes one that reads a single snapshot, so
    the service may keep running.
    """
    await queries.freeze(session)
    return await find_differences(session)


async def verify_projects(session: AsyncSession) -> Verification:
    """``verify``, with the projects that were checked."""
    await queries.freeze(session)
    projects = [read_as(VerifiedProject, row) for row in await queries.read_projects(session)]
    return Verification(projects, await find_differences(session))


async def find_differences(session: AsyncSession) -> list[Difference]:
    """The differences that the session's transaction sees. Each check alone is of one instant."""
    differences: list[Difference] = []
    for check, kind in (
        (queries.differences_of_projects, None),
        (queries.differences_of_pairs, IdKind.PAIR),
        (queries.differences_of_assignments, IdKind.ASSIGNMENT),
        (queries.differences_of_labels, IdKind.LABEL),
    ):
        for row in await check(session, limit=MAX_DIFFERENCES):
            subject = "" if kind is None else encode(kind, row.subject)
            differences.append(Difference(row.project, subject, row.what, row.recorded, row.actual))
    return differences
