"""What must hold at every instant, asked of the database in one snapshot."""

from typing import Any

import psycopg

FAULTS = """
WITH entries AS (
    SELECT project_id, sum(spent) AS spent, sum(reserved) AS reserved
    FROM ledger_entries GROUP BY project_id
), holding AS (
    SELECT project_id, sum(reserved) AS reserved
    FROM assignments WHERE status = 'held' GROUP BY project_id
), held AS (
    SELECT pair_id, count(*) AS held FROM assignments WHERE status = 'held' GROUP BY pair_id
), labelled AS (
    SELECT pair_id,
        count(*) FILTER (WHERE status = 'counted' AND assignment_id IS NOT NULL) AS counted,
        count(*) FILTER (WHERE status = 'counted' AND assignment_id IS NULL) AS imported,
        count(*) FILTER (WHERE status = 'skipped') AS skips
    FROM labels GROUP BY pair_id
), labels_of AS (
    SELECT project_id,
        count(*) FILTER (WHERE status = 'counted') AS counted,
        count(*) FILTER (WHERE status = 'surplus') AS surplus,
        sum(cost) FILTER (WHERE status <> 'withdrawn') AS cost
    FROM labels GROUP BY project_id
)
SELECT 'over budget', name, concat_ws(' ', spent, reserved, budget_limit)
FROM projects WHERE unit = 'labels' AND spent + reserved > budget_limit
UNION ALL
SELECT 'counters are not the sum of the entries', name,
    concat_ws(' ', p.spent, p.reserved, e.spent, e.reserved)
FROM projects p LEFT JOIN entries e ON e.project_id = p.id
WHERE (p.spent, p.reserved) <> (coalesce(e.spent, 0), coalesce(e.reserved, 0))
UNION ALL
SELECT 'reserved is not what is held', name, concat_ws(' ', p.reserved, h.reserved)
FROM projects p LEFT JOIN holding h ON h.project_id = p.id
WHERE p.reserved <> coalesce(h.reserved, 0)
UNION ALL
SELECT 'the project counts other labels than it has', name,
    concat_ws(' ', p.counted_labels, p.surplus_labels, l.counted, l.surplus)
FROM projects p LEFT JOIN labels_of l ON l.project_id = p.id
WHERE (p.counted_labels, p.surplus_labels) <> (coalesce(l.counted, 0), coalesce(l.surplus, 0))
UNION ALL
SELECT 'spent is not what the labels cost', name, concat_ws(' ', p.spent, l.cost)
FROM projects p LEFT JOIN labels_of l ON l.project_id = p.id
WHERE p.spent <> coalesce(l.cost, 0)
UNION ALL
SELECT 'a pair counts otherwise than its assignments and labels', r.id::text,
    concat_ws(' ', r.held, r.counted, r.imported, r.skips, '/',
        coalesce(h.held, 0), coalesce(l.counted, 0), coalesce(l.imported, 0), coalesce(l.skips, 0))
FROM pairs r LEFT JOIN held h ON h.pair_id = r.id LEFT JOIN labelled l ON l.pair_id = r.id
WHERE (r.held, r.counted, r.imported, r.skips)
    <> (coalesce(h.held, 0), coalesce(l.counted, 0), coalesce(l.imported, 0), coalesce(l.skips, 0))
UNION ALL
SELECT 'a pair has more than its number', id::text, concat_ws(' ', held, counted, labels_wanted)
FROM pairs WHERE held + counted > labels_wanted
UNION ALL
SELECT 'somebody labelled a pair twice', min(pair_id)::text, annotator
FROM labels WHERE status <> 'withdrawn' GROUP BY pair_id, annotator HAVING count(*) > 1
"""
"""A row a fault: what is wrong, where, and the figures. Prompts must not have been erased."""


async def faults(connection: psycopg.AsyncConnection[Any]) -> list[tuple[str, str, str]]:
    """What is wrong now; the statement sees one snapshot."""
    cursor = await connection.execute(FAULTS)
    return await cursor.fetchall()
