"""SQL over stored embeddings.

An index catches up in the order of the transactions that wrote the rows. Neither ids nor
transactions commit in order, so a row is read once the number of its transaction is below
``pg_snapshot_xmin``: every lower one has ended by then, and nothing can appear behind a position
that has been read.
"""

from collections.abc import Sequence
from typing import Any, Final

from sqlalchemy import Row, TextClause, text
from sqlalchemy.ext.asyncio import AsyncSession

from app.vectors.marks import Mark, Position

EMBEDDINGS_AFTER: Final = text("""
    SELECT prompt_id, written_by::text::bigint AS written_by, vector
    FROM prompt_embeddings
    WHERE project_id = :project_id
      AND (written_by, prompt_id) > (CAST(CAST(:written_by AS text) AS xid8), :prompt_id)
      AND written_by < pg_snapshot_xmin(pg_current_snapshot())
    ORDER BY prompt_embeddings.written_by, prompt_id
    LIMIT :limit
""")
ERASED_AFTER: Final = text("""
    SELECT prompt_id, written_by::text::bigint AS written_by
    FROM erased_prompts
    WHERE project_id = :project_id
      AND (written_by, prompt_id) > (CAST(CAST(:written_by AS text) AS xid8), :prompt_id)
      AND written_by < pg_snapshot_xmin(pg_current_snapshot())
    ORDER BY erased_prompts.written_by, prompt_id
    LIMIT :limit
""")
# Without the prompts that wait for the end of an import: no index holds them.
_CONTENTS_UP_TO = text("""
    SELECT everything.size - waiting.size AS size,
        everything.sum_of_ids - waiting.sum_of_ids AS sum_of_ids
    FROM (
        SELECT count(*) AS size, coalesce(sum(prompt_id), 0)::bigint AS sum_of_ids
        FROM prompt_embeddings
        WHERE project_id = :project_id
          AND (written_by, prompt_id) <= (CAST(CAST(:written_by AS text) AS xid8), :prompt_id)
    ) AS everything, (
        SELECT count(*) AS size, coalesce(sum(prompt_id), 0)::bigint AS sum_of_ids
        FROM prompts JOIN prompt_embeddings ON prompt_embeddings.prompt_id = prompts.id
        WHERE prompts.project_id = :project_id AND import_id IS NOT NULL AND group_id IS NULL
          AND (written_by, prompt_id) <= (CAST(CAST(:written_by AS text) AS xid8), :prompt_id)
    ) AS waiting
""")
_CLUSTER = text("SELECT system_identifier FROM pg_control_system()")

# One row with all vectors is read several times faster than a row for each.
VECTORS_OF_RESPONSES: Final = text("""
    SELECT array_agg(response_id ORDER BY response_id) AS ids,
        string_agg(vector, '' ORDER BY response_id) AS vectors
    FROM response_embeddings WHERE response_id = ANY(CAST(:ids AS bigint[]))
""")
VECTORS_OF_PROMPTS: Final = text("""
    SELECT array_agg(prompt_id ORDER BY prompt_id) AS ids,
        string_agg(vector, '' ORDER BY prompt_id) AS vectors
    FROM prompt_embeddings WHERE prompt_id = ANY(CAST(:ids AS bigint[]))
""")


async def rows_after(
    session: AsyncSession, query: TextClause, project_id: int, position: Position, limit: int
) -> Sequence[Row[Any]]:
    """The next rows of ``EMBEDDINGS_AFTER`` or ``ERASED_AFTER``.

    Served by ``ix_prompt_embeddings_catch_up`` and ``ix_erased_prompts_catch_up``.
    """
    found = await session.execute(
        query,
        {
            "project_id": project_id,
            "written_by": str(position.written_by),
            "prompt_id": position.prompt_id,
            "limit": limit,
        },
    )
    return found.all()


async def contents_up_to(session: AsyncSession, project_id: int, mark: Mark) -> tuple[int, int]:
    """What an index should hold of the rows up to a mark: how many, and the sum of their ids.

    Reads all rows of the project.
    """
    found = await session.execute(
        _CONTENTS_UP_TO,
        {
            "project_id": project_id,
            "written_by": str(mark.embedded.written_by),
            "prompt_id": mark.embedded.prompt_id,
        },
    )
    row = found.one()
    return row.size, row.sum_of_ids


async def cluster(session: AsyncSession) -> int:
    """The database cluster's own number. Numbers of transactions mean nothing in another cluster.

    A database that was restored from a backup is in another cluster.
    """
    return int((await session.execute(_CLUSTER)).scalar_one())


async def read_vectors(
    session: AsyncSession, query: TextClause, ids: list[int]
) -> tuple[list[int], list[bytes]]:
    """Those of the ids that have a vector, rising, and the stored vectors. By primary key."""
    row = (await session.execute(query, {"ids": ids})).one()
    if row.ids is None:
        return [], []
    size = len(row.vectors) // len(row.ids)
    return row.ids, [row.vectors[at : at + size] for at in range(0, len(row.vectors), size)]
