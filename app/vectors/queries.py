"""SQL over the embeddings of prompts, read in the order of the transactions that wrote them.

Ids do not commit in order, and neither do transactions. A row is read once its transaction's number
is below ``pg_snapshot_xmin``: every lower one has ended by then, so nothing can appear behind a
position that has been read.
"""

from dataclasses import dataclass
from typing import Any

from sqlalchemy import Row, text
from sqlalchemy.ext.asyncio import AsyncSession

from app.vectors.mark import Mark, Position

_EMBEDDINGS_AFTER = text("""
    SELECT prompt_id, written_by::text::bigint AS written_by, vector
    FROM prompt_embeddings
    WHERE project_id = :project_id
      AND (written_by, prompt_id) > (CAST(CAST(:written_by AS text) AS xid8), :prompt_id)
      AND written_by < pg_snapshot_xmin(pg_current_snapshot())
    ORDER BY prompt_embeddings.written_by, prompt_id
    LIMIT :limit
""")

_ERASED_AFTER = text("""
    SELECT prompt_id, written_by::text::bigint AS written_by
    FROM erased_prompts
    WHERE project_id = :project_id
      AND (written_by, prompt_id) > (CAST(CAST(:written_by AS text) AS xid8), :prompt_id)
      AND written_by < pg_snapshot_xmin(pg_current_snapshot())
    ORDER BY erased_prompts.written_by, prompt_id
    LIMIT :limit
""")

_CONTENTS_UP_TO = text("""
    SELECT count(*) AS size, coalesce(sum(prompt_id), 0)::bigint AS sum_of_ids
    FROM prompt_embeddings
    WHERE project_id = :project_id
      AND (written_by, prompt_id) <= (CAST(CAST(:written_by AS text) AS xid8), :prompt_id)
""")

_CLUSTER = text("SELECT system_identifier FROM pg_control_system()")


@dataclass(frozen=True, slots=True)
class Contents:
    """What an index should hold, in two numbers."""

    size: int
    sum_of_ids: int


async def embeddings_after(
    session: AsyncSession, project_id: int, position: Position, limit: int
) -> list[Row[Any]]:
    """The next ``(prompt_id, written_by, vector)``. Served by ix_prompt_embeddings_catch_up."""
    return await _rows_after(session, _EMBEDDINGS_AFTER, project_id, position, limit)


async def erased_after(
    session: AsyncSession, project_id: int, position: Position, limit: int
) -> list[Row[Any]]:
    """The next rows ``(prompt_id, written_by)``. Served by ix_erased_prompts_catch_up."""
    return await _rows_after(session, _ERASED_AFTER, project_id, position, limit)


async def _rows_after(
    session: AsyncSession, statement: Any, project_id: int, position: Position, limit: int
) -> list[Row[Any]]:
    found = await session.execute(
        statement,
        {
            "project_id": project_id,
            "written_by": str(position.written_by),
            "prompt_id": position.prompt_id,
            "limit": limit,
        },
    )
    return list(found.all())


async def contents_up_to(session: AsyncSession, project_id: int, mark: Mark) -> Contents:
    """What the database still holds of the rows up to a mark. One pass over the project's rows."""
    found = await session.execute(
        _CONTENTS_UP_TO,
        {
            "project_id": project_id,
            "written_by": str(mark.embedded.written_by),
            "prompt_id": mark.embedded.prompt_id,
        },
    )
    row = found.one()
    return Contents(row.size, row.sum_of_ids)


async def cluster(session: AsyncSession) -> int:
    """The database cluster's own number: transactions' numbers, and so marks, mean nothing beyond.

    A database that was restored from a backup stands in another one.
    """
    return int((await session.execute(_CLUSTER)).scalar_one())
