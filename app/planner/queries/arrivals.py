"""SQL over the prompts that arrive."""

from collections.abc import Collection, Sequence
from dataclasses import dataclass
from typing import Final

import numpy as np
from sqlalchemy import text
from sqlalchemy.ext.asyncio import AsyncSession

from app.embedding.unit import from_bytes
from app.planner.queries.rounds import renew_rounds
from app.selection.groups import GroupedPrompts
from app.storage.sql import statement
from app.vectors.marks import VectorSource


@dataclass(frozen=True, slots=True)
class Arrival:
    """What is fixed of a prompt when it arrives."""

    prompt_id: int
    group_id: int
    exploration: bool
    near_duplicate: bool
    order_key: float


_NEWCOMERS = text("""
    SELECT id, import_id IS NOT NULL AS is_in_import FROM prompts
    WHERE id = ANY(CAST(:ids AS bigint[])) AND group_id IS NULL
    ORDER BY id
""")

_GROUPED = """
    SELECT prompts.id, prompts.group_id, embedded.vector
    FROM prompts JOIN {embeddings} AS embedded ON embedded.prompt_id = prompts.id
    WHERE prompts.id = ANY(CAST(:ids AS bigint[])) AND prompts.group_id IS NOT NULL{of_version}
    ORDER BY prompts.id
"""

_RESPONSE_IDS = text("""
    SELECT prompt_id, array_agg(id ORDER BY id) AS ids FROM responses
    WHERE prompt_id = ANY(CAST(:ids AS bigint[]))
    GROUP BY prompt_id
""")

_FIX = text("""
    UPDATE prompts
    SET group_id = new.group_id, exploration = new.exploration,
        near_duplicate = new.near_duplicate, order_key = new.order_key,
        pairs_considered = prompts.pairs_total
    FROM unnest(
        CAST(:ids AS bigint[]), CAST(:groups AS bigint[]), CAST(:explorations AS boolean[]),
        CAST(:near_duplicates AS boolean[]), CAST(:order_keys AS float8[])
    ) AS new (id, group_id, exploration, near_duplicate, order_key)
    WHERE prompts.id = new.id AND prompts.group_id IS NULL
    RETURNING prompts.status
""")

_COUNT_ARRIVED = text("""
    UPDATE project_intake SET unplanned = unplanned - :arrived WHERE project_id = :project_id
""")

_PROMPT_VECTOR = """
    SELECT vector FROM {embeddings} AS embedded
    WHERE prompt_id = :id AND project_id = :project_id{of_version}
"""

_OWN_VECTORS: Final = {"embeddings": "prompt_embeddings", "of_version": ""}
_QUESTIONS: Final = {
    "embeddings": "question_embeddings",
    "of_version": " AND embedded.version = :question_version",
}
_GROUPED_BY_OWN_VECTORS = statement(_GROUPED, **_OWN_VECTORS)
_GROUPED_BY_QUESTIONS = statement(_GROUPED, **_QUESTIONS)
_OWN_VECTOR = statement(_PROMPT_VECTOR, **_OWN_VECTORS)
_QUESTION_VECTOR = statement(_PROMPT_VECTOR, **_QUESTIONS)


async def find_newcomers(
    session: AsyncSession, prompt_ids: Collection[int]
) -> tuple[set[int], set[int]]:
    """Those of the prompts that arrive now, and those that wait for the end of an import."""
    rows = (await session.execute(_NEWCOMERS, {"ids": list(prompt_ids)})).all()
    waiting = {row.id for row in rows if row.is_in_import}
    return {row.id for row in rows} - waiting, waiting


async def read_grouped(
    session: AsyncSession, source: VectorSource, prompt_ids: Collection[int], dimensions: int
) -> GroupedPrompts:
    """Those of the prompts that have arrived, with their groups and stored vectors, by id."""
    query = _GROUPED_BY_OWN_VECTORS if source.question_version is None else _GROUPED_BY_QUESTIONS
    rows = (await session.execute(query, {**source._asdict(), "ids": list(prompt_ids)})).all()
    return GroupedPrompts(
        ids=np.array([row.id for row in rows], dtype=np.int64),
        groups=np.array([row.group_id for row in rows], dtype=np.int64),
        vectors=from_bytes([row.vector for row in rows], dimensions),
    )


async def read_response_ids(
    session: AsyncSession, prompt_ids: Collection[int]
) -> dict[int, list[int]]:
    """The responses of each prompt."""
    rows = await session.execute(_RESPONSE_IDS, {"ids": list(prompt_ids)})
    return {row.prompt_id: row.ids for row in rows}


async def fix_arrivals(session: AsyncSession, project_id: int, arrivals: Sequence[Arrival]) -> None:
    """Write what is fixed on arrival, and count the prompts as arrived.

    The caller has locked the prompts. Failed ones are not counted: they were not waited for. The
    count is contended, so this is the last statement of its transaction.
    """
    fixed = await session.scalars(
        _FIX,
        {
            "ids": [arrival.prompt_id for arrival in arrivals],
            "groups": [arrival.group_id for arrival in arrivals],
            "explorations": [arrival.exploration for arrival in arrivals],
            "near_duplicates": [arrival.near_duplicate for arrival in arrivals],
            "order_keys": [arrival.order_key for arrival in arrivals],
        },
    )
    await renew_rounds(session, [arrival.prompt_id for arrival in arrivals])
    arrived = sum(status != "failed" for status in fixed)
    await session.execute(_COUNT_ARRIVED, {"arrived": arrived, "project_id": project_id})


async def read_prompt_vector(
    session: AsyncSession, source: VectorSource, prompt_id: int
) -> bytes | None:
    """The vector the prompt is grouped by; None if the project has no such prompt or vector."""
    query = _OWN_VECTOR if source.question_version is None else _QUESTION_VECTOR
    vector: bytes | None = await session.scalar(query, {**source._asdict(), "id": prompt_id})
    return vector
