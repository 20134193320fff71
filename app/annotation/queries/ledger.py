"""The SQL that writes the ledger: its entries, and a project's ``spent`` and ``reserved``.

No other file writes them. A statement that must write the ledger itself, to save a round trip,
takes ``write_ledger`` in.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from decimal import Decimal
from typing import Literal

from sqlalchemy.ext.asyncio import AsyncSession

from app.storage.sql import fill, read_as, statement

_ZERO = Decimal(0)


@dataclass(frozen=True, slots=True)
class Change:
    """One entry: by how much ``spent`` and ``reserved`` change, and for what."""

    kind: Literal["reserve", "release", "settle", "refund"]
    spent: Decimal = _ZERO
    reserved: Decimal = _ZERO
    assignment_id: int | None = None
    label_id: int | None = None


@dataclass(frozen=True, slots=True)
class Totals:
    """What a project has spent and reserved."""

    total_spent: Decimal
    total_reserved: Decimal


def write_ledger(*, counters: str = "") -> str:
    """Two CTEs that write an entry for each row of ``changes``, and give the new ``totals``.

    ``changes`` is a CTE before them, with the fields of ``Change`` and their ``place`` in the
    order of the entries. ``counters`` are other columns of the project to set in the same update:
    a statement can update a row only once. ``totals`` is empty where ``changes`` is.
    """
    return fill(
        """
        entries AS (
            INSERT INTO ledger_entries (project_id, kind, assignment_id, label_id, spent, reserved)
            SELECT :project_id, kind, assignment_id, label_id, spent, reserved
            FROM changes
            ORDER BY place
            RETURNING spent, reserved
        ), totals AS (
            UPDATE projects
            SET {counters} spent = projects.spent + added.spent,
                reserved = projects.reserved + added.reserved
            FROM (
                SELECT sum(spent) AS spent, sum(reserved) AS reserved
                FROM entries HAVING count(*) > 0
            ) AS added
            WHERE projects.id = :project_id
            RETURNING projects.spent AS total_spent, projects.reserved AS total_reserved
        )
        """,
        counters=counters,
    )


_RECORD = statement(
    """
    WITH changes AS (
        SELECT * FROM unnest(
            CAST(:kinds AS text[]), CAST(:assignment_ids AS bigint[]),
            CAST(:label_ids AS bigint[]), CAST(:spents AS numeric[]), CAST(:reserveds AS numeric[])
        ) WITH ORDINALITY AS change (kind, assignment_id, label_id, spent, reserved, place)
    ), {write_ledger}
    SELECT total_spent, total_reserved FROM totals
    """,
    write_ledger=write_ledger(),
)


async def record(session: AsyncSession, project_id: int, changes: Sequence[Change]) -> Totals:
    """Write at least one entry; gives the totals after it. The project's row is locked."""
    recorded = await session.execute(
        _RECORD,
        {
            "project_id": project_id,
            "kinds": [change.kind for change in changes],
            "assignment_ids": [change.assignment_id for change in changes],
            "label_ids": [change.label_id for change in changes],
            "spents": [change.spent for change in changes],
            "reserveds": [change.reserved for change in changes],
        },
    )
    return read_as(Totals, recorded.one())
