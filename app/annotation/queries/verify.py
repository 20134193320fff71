"""The SQL that compares every stored count with the rows it counts. It reads whole tables.

Each check gives a row for each difference: the project, what is counted, the ``subject`` (the
number of a pair, an assignment or a label; null for the project itself), and both figures.
"""

from collections.abc import Sequence
from typing import Any

from sqlalchemy import Row, select, text
from sqlalchemy.ext.asyncio import AsyncSession

from app.storage import predicates
from app.storage.ids import IdKind
from app.storage.sql import statement
from app.storage.tables import Project

# The counters of a project: its ledger's, its labels', its intake's.
_OF_PROJECTS = statement(
    """
    SELECT projects.name AS project, what, NULL::bigint AS subject, recorded, actual
    FROM projects
    LEFT JOIN project_intake ON project_intake.project_id = projects.id
    LEFT JOIN (
        SELECT project_id, sum(spent) AS spent, sum(reserved) AS reserved
        FROM ledger_entries GROUP BY project_id
    ) AS entries ON entries.project_id = projects.id
    LEFT JOIN (
        SELECT project_id, sum(reserved) AS reserved
        FROM assignments WHERE {held} GROUP BY project_id
    ) AS held ON held.project_id = projects.id
    LEFT JOIN (
        SELECT project_id,
            count(*) FILTER (WHERE status = 'counted') AS counted,
            count(*) FILTER (WHERE status = 'surplus') AS surplus
        FROM labels GROUP BY project_id
    ) AS kept ON kept.project_id = projects.id
    LEFT JOIN (
        SELECT project_id, count(*) AS prompts,
            count(*) FILTER (WHERE status = 'pending') AS pending,
            count(*) FILTER (WHERE {failed}) AS failed,
            count(*) FILTER (WHERE {without_group}) AS unplanned
        FROM prompts GROUP BY project_id
    ) AS taken ON taken.project_id = projects.id
    CROSS JOIN LATERAL (VALUES
        ('spent, by the ledger''s entries', projects.spent, coalesce(entries.spent, 0)),
        ('reserved, by the ledger''s entries', projects.reserved, coalesce(entries.reserved, 0)),
        ('reserved, by the held assignments', projects.reserved, coalesce(held.reserved, 0)),
        ('counted labels', projects.counted_labels, coalesce(kept.counted, 0)),
        ('surplus labels', projects.surplus_labels, coalesce(kept.surplus, 0)),
        ('prompts', project_intake.prompts, coalesce(taken.prompts, 0)),
        ('pending prompts', project_intake.pending, coalesce(taken.pending, 0)),
        ('failed prompts', project_intake.failed, coalesce(taken.failed, 0)),
        ('unplanned prompts', project_intake.unplanned, coalesce(taken.unplanned, 0))
    ) AS compared (what, recorded, actual)
    WHERE recorded IS DISTINCT FROM actual
    ORDER BY projects.id, what
    LIMIT :limit
    """,
    held=predicates.HELD_ASSIGNMENT,
    failed=predicates.FAILED_PROMPT,
    without_group=predicates.WITHOUT_GROUP,
)

# A pair's counts, by its assignments and its labels.
_OF_PAIRS = statement(
    """
    SELECT projects.name AS project, what, pairs.id AS subject, recorded, actual
    FROM pairs
    JOIN projects ON projects.id = pairs.project_id
    LEFT JOIN (
        SELECT pair_id, count(*) AS held FROM assignments WHERE {held} GROUP BY pair_id
    ) AS held ON held.pair_id = pairs.id
    LEFT JOIN (
        SELECT pair_id,
            count(*) FILTER (WHERE status = 'counted' AND assignment_id IS NOT NULL) AS counted,
            count(*) FILTER (WHERE status = 'counted' AND assignment_id IS NULL) AS imported,
            count(*) FILTER (WHERE status = 'skipped') AS skips
        FROM labels GROUP BY pair_id
    ) AS kept ON kept.pair_id = pairs.id
    CROSS JOIN LATERAL (VALUES
        ('held', pairs.held, coalesce(held.held, 0)),
        ('counted', pairs.counted, coalesce(kept.counted, 0)),
        ('imported', pairs.imported, coalesce(kept.imported, 0)),
        ('skips', pairs.skips, coalesce(kept.skips, 0))
    ) AS compared (what, recorded, actual)
    WHERE recorded IS DISTINCT FROM actual
    ORDER BY pairs.id, what
    LIMIT :limit
    """,
    held=predicates.HELD_ASSIGNMENT,
)

# What an assignment reserves while it is held, and nothing after, by its entries; and that it is
# answered when, and only when, a label that stands answers it. The entries of an assignment that
# was erased with its prompt must sum to nothing.
_OF_ASSIGNMENTS = statement(
    """
    SELECT projects.name AS project, what, subject, recorded, actual
    FROM (
        SELECT coalesce(assignments.project_id, entries.project_id) AS project_id,
            coalesce(assignments.id, entries.assignment_id) AS subject,
            CASE WHEN assignments.status = 'held' THEN assignments.reserved ELSE 0 END AS reserved,
            coalesce(entries.reserved, 0) AS reserved_by_entries,
            CASE WHEN assignments.status = 'answered' THEN 1 ELSE 0 END AS answered,
            coalesce(standing.labels, 0) AS labels
        FROM assignments
        FULL JOIN (
            SELECT project_id, assignment_id, sum(reserved) AS reserved
            FROM ledger_entries WHERE assignment_id IS NOT NULL GROUP BY project_id, assignment_id
        ) AS entries ON entries.assignment_id = assignments.id
        LEFT JOIN (
            SELECT assignment_id, count(*) AS labels
            FROM labels WHERE assignment_id IS NOT NULL AND {live}
            GROUP BY assignment_id
        ) AS standing ON standing.assignment_id = assignments.id
    ) AS both_sides
    JOIN projects ON projects.id = both_sides.project_id
    CROSS JOIN LATERAL (VALUES
        ('reserved, by the ledger''s entries', both_sides.reserved, reserved_by_entries),
        ('answered, by its label', answered, labels)
    ) AS compared (what, recorded, actual)
    WHERE recorded IS DISTINCT FROM actual
    ORDER BY subject, what
    LIMIT :limit
    """,
    live=predicates.LIVE_LABEL,
)

# What a label cost, by its entries: nothing once it is withdrawn.
_OF_LABELS = statement(
    """
    SELECT projects.name AS project, 'cost, by the ledger''s entries' AS what, labels.id AS subject,
        CASE WHEN labels.status = 'withdrawn' THEN 0 ELSE labels.cost END AS recorded,
        coalesce(entries.spent, 0) AS actual
    FROM labels
    JOIN projects ON projects.id = labels.project_id
    LEFT JOIN (
        SELECT label_id, sum(spent) AS spent
        FROM ledger_entries WHERE label_id IS NOT NULL GROUP BY label_id
    ) AS entries ON entries.label_id = labels.id
    WHERE CASE WHEN labels.status = 'withdrawn' THEN 0 ELSE labels.cost END
        <> coalesce(entries.spent, 0)
    ORDER BY labels.id
    LIMIT :limit
    """,
)


# Whether a label is disputed, by what the labels of its pair say.
_OF_DISPUTES = statement(
    """
    SELECT projects.name AS project, 'disputed, by the labels of its pair' AS what,
        labels.id AS subject, labels.disputed::int AS recorded, actual
    FROM labels
    JOIN projects ON projects.id = labels.project_id
    LEFT JOIN (
        SELECT pair_id, (count(DISTINCT {answer}) > 1)::int AS disputed
        FROM labels WHERE {judging} GROUP BY pair_id
    ) AS of_pair ON of_pair.pair_id = labels.pair_id
    CROSS JOIN LATERAL (VALUES
        (CASE WHEN {judging} THEN coalesce(of_pair.disputed, 0) ELSE 0 END)
    ) AS compared (actual)
    WHERE labels.disputed::int <> actual
    ORDER BY labels.id
    LIMIT :limit
    """,
    answer=predicates.ANSWER,
    judging=predicates.JUDGING_LABEL,
)


async def freeze(session: AsyncSession) -> None:
    """Let all that the session reads from here on be of one instant."""
    await session.execute(text("SET TRANSACTION ISOLATION LEVEL REPEATABLE READ, READ ONLY"))


async def read_projects(session: AsyncSession) -> Sequence[Project]:
    """Every project, oldest first."""
    return (await session.scalars(select(Project).order_by(Project.id))).all()


async def read_differences(
    session: AsyncSession, *, limit: int
) -> list[tuple[IdKind | None, Row[Any]]]:
    """What the checks find, at most ``limit`` of each, and the kind of the ``subject``."""
    return [
        (kind, row)
        for check, kind in (
            (_OF_PROJECTS, None),
            (_OF_PAIRS, IdKind.PAIR),
            (_OF_ASSIGNMENTS, IdKind.ASSIGNMENT),
            (_OF_LABELS, IdKind.LABEL),
            (_OF_DISPUTES, IdKind.LABEL),
        )
        for row in await session.execute(check, {"limit": limit})
    ]
