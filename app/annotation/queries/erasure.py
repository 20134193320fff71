"""The SQL that erases what annotators did with a prompt. The project's row is locked."""

from sqlalchemy.ext.asyncio import AsyncSession

from app.annotation.queries.ledger import write_ledger
from app.storage import predicates
from app.storage.sql import statement

_RELEASE_ASSIGNMENTS = statement(
    """
    WITH changes AS (
        SELECT 'release' AS kind, id AS assignment_id, NULL::bigint AS label_id, 0 AS spent,
            -reserved AS reserved, id AS place
        FROM assignments
        WHERE {held} AND pair_id IN (SELECT id FROM pairs WHERE prompt_id = :prompt_id)
    ), {write_ledger}
    SELECT total_reserved FROM totals
    """,
    held=predicates.HELD_ASSIGNMENT,
    write_ledger=write_ledger(),
)

_ERASE_LABELS = statement(
    """
    WITH erased AS (
        DELETE FROM labels WHERE prompt_id = :prompt_id RETURNING status
    )
    UPDATE projects
    SET counted_labels = counted_labels - counted, surplus_labels = surplus_labels - surplus
    FROM (
        SELECT count(*) FILTER (WHERE status = 'counted') AS counted,
            count(*) FILTER (WHERE status = 'surplus') AS surplus
        FROM erased HAVING count(*) > 0
    ) AS labels_erased
    WHERE projects.id = :project_id
    """
)


async def erase_annotations(session: AsyncSession, project_id: int, prompt_id: int) -> None:
    """Free what the prompt's held assignments reserve, and delete its labels.

    The assignments are deleted with their pairs. Served by ``ix_labels_prompt``.
    """
    for each in (_RELEASE_ASSIGNMENTS, _ERASE_LABELS):
        await session.execute(each, {"project_id": project_id, "prompt_id": prompt_id})
