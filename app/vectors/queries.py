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

from app.storage.sql import statement
from app.vectors.marks import Mark, Position, VectorSource

_EMBEDDINGS_AFTER: Final = """
    SELECT prompt_id, written_by::text::bigint AS written_by, vector
    FROM {embeddings} AS embedded
    WHERE {of_project}
      AND (written_by, prompt_id) > (CAST(CAST(:written_by AS text) AS xid8), :prompt_id)
      AND written_by < pg_snapshot_xmin(pg_current_snapshot())
    ORDER BY embedded.written_by, prompt_id
    LIMIT :limit
"""
# Without the prompts that wait for the end of an import: no index holds them.
_CONTENTS_UP_TO: Final = """
    SELECT everything.size - waiting.size AS size,
        everything.sum_of_ids - waiting.sum_of_ids AS sum_of_ids
    FROM (
        SELECT count(*) AS size, coalesce(sum(prompt_id), 0)::bigint AS sum_of_ids
        FROM {embeddings} AS embedded
        WHERE {of_project}
          AND (written_by, prompt_id) <= (CAST(CAST(:written_by AS text) AS xid8), :prompt_id)
    ) AS everything, (
        SELECT count(*) AS size, coalesce(sum(prompt_id), 0)::bigint AS sum_of_ids
        FROM prompts JOIN {embeddings} AS embedded ON embedded.prompt_id = prompts.id
        WHERE prompts.project_id = :project_id AND import_id IS NOT NULL AND group_id IS NULL
          AND {of_project}
          AND (written_by, prompt_id) <= (CAST(CAST(:written_by AS text) AS xid8), :prompt_id)
    ) AS waiting
"""
_OWN_VECTORS: Final = {
    "embeddings": "prompt_embeddings",
    "of_project": "embedded.project_id = :project_id",
}
_QUESTIONS: Final = {
    "embeddings": "question_embeddings",
    "of_project": "embedded.project_id = :project_id AND embedded.version = :question_version",
}
OWN_VECTORS_AFTER: Final = statement(_EMBEDDINGS_AFTER, **_OWN_VECTORS)
QUESTIONS_AFTER: Final = statement(_EMBEDDINGS_AFTER, **_QUESTIONS)
_OWN_VECTORS_UP_TO: Final = statement(_CONTENTS_UP_TO, **_OWN_VECTORS)
_QUESTIONS_UP_TO: Final = statement(_CONTENTS_UP_TO, **_QUESTIONS)
ERASED_AFTER: Final = text("""
    SELECT prompt_id, written_by::text::bigint AS written_by
    FROM erased_prompts
    WHERE project_id = :project_id
      AND (written_by, prompt_id) > (CAST(CAST(:written_by AS text) AS xid8), :prompt_id)
      AND written_by < pg_snapshot_xmin(pg_current_snapshot())
    ORDER BY erased_prompts.written_by, prompt_id
    LIMIT :limit
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
STYLES_OF_RESPONSES: Final = text("""
    SELECT array_agg(response_id ORDER BY response_id) AS ids,
        string_agg(features, '' ORDER BY response_id) AS vectors
    FROM response_styles
    WHERE response_id = ANY(CAST(:ids AS bigint[])) AND version = :version
""")


async def embeddings_after(
    session: AsyncSession, source: VectorSource, position: Position, limit: int
) -> Sequence[Row[Any]]:
    """The next vectors that prompts are grouped by.

    Served by ``ix_question_embeddings_catch_up`` and ``ix_prompt_embeddings_catch_up``.
    """
    query = OWN_VECTORS_AFTER if source.question_version is None else QUESTIONS_AFTER
    found = await session.execute(
        query, {**source._asdict(), **position.as_parameters(), "limit": limit}
    )
    return found.all()


async def erased_after(
    session: AsyncSession, project_id: int, position: Position, limit: int
) -> Sequence[Row[Any]]:
    """The next prompts that were erased. Served by ``ix_erased_prompts_catch_up``."""
    parameters = {"project_id": project_id, **position.as_parameters(), "limit": limit}
    return (await session.execute(ERASED_AFTER, parameters)).all()


async def contents_up_to(
    session: AsyncSession, source: VectorSource, mark: Mark
) -> tuple[int, int]:
    """What an index should hold of the rows up to a mark: how many, and the sum of their ids.

    Reads all rows of the project.
    """
    query = _OWN_VECTORS_UP_TO if source.question_version is None else _QUESTIONS_UP_TO
    found = await session.execute(query, {**source._asdict(), **mark.embedded.as_parameters()})
    row = found.one()
    return row.size, row.sum_of_ids


async def cluster(session: AsyncSession) -> int:
    """The database cluster's own number. Numbers of transactions mean nothing in another cluster.

    A database that was restored from a backup is in another cluster.
    """
    return int((await session.execute(_CLUSTER)).scalar_one())


async def read_vectors(
    session: AsyncSession, query: TextClause, ids: list[int], **parameters: Any
) -> tuple[list[int], list[bytes]]:
    """Those of the ids that have a vector, rising, and the stored vectors. By primary key."""
    row = (await session.execute(query, {"ids": ids, **parameters})).one()
    if row.ids is None:
        return [], []
    size = len(row.vectors) // len(row.ids)
    return row.ids, [row.vectors[at : at + size] for at in range(0, len(row.vectors), size)]
