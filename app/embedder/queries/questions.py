"""The SQL of questions without a vector of this version, in prompts that have theirs already."""

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from itertools import takewhile

from sqlalchemy import BigInteger, select, text
from sqlalchemy.ext.asyncio import AsyncSession

from app.embedder.queries.pending import PendingPrompt, Vector
from app.embedding.unit import to_bytes
from app.prompts.question import QUESTION_VERSION, question
from app.storage.sql import among
from app.storage.tables import Prompt
from app.vectors.marks import Position

_LOOKED_AT_AT_A_TIME = 4096
"""Prompts whose question may have its vector already: looking at one costs a few microseconds."""


@dataclass(frozen=True, slots=True)
class OldPrompts:
    """A claimed part of a project: prompts in the order in which their vectors were written."""

    project_id: int
    positions: Sequence[Position]
    """Of all prompts of the part."""
    without_question: Sequence[PendingPrompt]
    """Those whose question has no vector of this version."""

    def positions_before(self, prompt_ids: Collection[int]) -> list[Position]:
        """The positions before the first of these prompts; all, if there are none."""
        return list(takewhile(lambda each: each.prompt_id not in prompt_ids, self.positions))


_OPEN_PROGRESS = text("""
    INSERT INTO question_progress AS progress (project_id, version, written_by, prompt_id)
    SELECT id, :version, '0', 0 FROM projects
    WHERE embedding_source = 'service' AND embedding_model = :model AND NOT EXISTS (
        SELECT FROM question_progress AS known
        WHERE known.project_id = projects.id AND known.version >= :version
    )
    ON CONFLICT (project_id) DO UPDATE
    SET version = excluded.version, written_by = excluded.written_by, prompt_id = excluded.prompt_id
    WHERE progress.version < excluded.version
""")

_CLAIM_PROGRESS = text("""
    SELECT progress.project_id, progress.written_by::text AS written_by, progress.prompt_id
    FROM question_progress AS progress JOIN projects ON projects.id = progress.project_id
    WHERE projects.embedding_source = 'service' AND projects.embedding_model = :model
      AND progress.version = :version
      AND EXISTS (
        SELECT FROM prompt_embeddings AS embedded
        WHERE embedded.project_id = progress.project_id
          AND (embedded.written_by, embedded.prompt_id)
            > (progress.written_by, progress.prompt_id)
          AND embedded.written_by < pg_snapshot_xmin(pg_current_snapshot())
      )
    ORDER BY progress.project_id
    LIMIT 1
    FOR UPDATE OF progress SKIP LOCKED
""")

_EMBEDDED_AFTER = text("""
    SELECT embedded.prompt_id, embedded.written_by::text::bigint AS written_by,
        NOT EXISTS (
            SELECT FROM question_embeddings AS known
            WHERE known.prompt_id = embedded.prompt_id AND known.version >= :version
        ) AS has_no_question
    FROM prompt_embeddings AS embedded
    WHERE embedded.project_id = :project_id
      AND (embedded.written_by, embedded.prompt_id)
        > (CAST(CAST(:written_by AS text) AS xid8), :prompt_id)
      AND embedded.written_by < pg_snapshot_xmin(pg_current_snapshot())
    ORDER BY embedded.written_by, embedded.prompt_id
    LIMIT :limit
""")

_STORE_QUESTIONS = text("""
    INSERT INTO question_embeddings (prompt_id, project_id, version, vector)
    SELECT prompts.id, prompts.project_id, :version, new.vector
    FROM unnest(CAST(:ids AS bigint[]), CAST(:vectors AS bytea[])) AS new (id, vector)
    JOIN prompts ON prompts.id = new.id
    ORDER BY prompts.id
    FOR KEY SHARE OF prompts SKIP LOCKED
    ON CONFLICT (prompt_id) DO UPDATE
    SET version = excluded.version, vector = excluded.vector, written_by = excluded.written_by
    WHERE question_embeddings.version < excluded.version
    RETURNING prompt_id
""")

_MOVE_PROGRESS = text("""
    UPDATE question_progress
    SET written_by = CAST(CAST(:written_by AS text) AS xid8), prompt_id = :prompt_id
    WHERE project_id = :project_id
""")


async def open_progress(session: AsyncSession, model: str) -> None:
    """Begin at the first vector in projects of this model without progress in this version."""
    await session.execute(_OPEN_PROGRESS, {"model": model, "version": QUESTION_VERSION})


async def claim_old_prompts(session: AsyncSession, model: str, *, limit: int) -> OldPrompts | None:
    """Lock the progress of a project with prompts to look at, and give the next of these.

    At most ``limit`` of them have a question to embed. Vectors are read in the order of the
    transactions that wrote them, and only of those that have ended, so none is ever passed over.
    Served by ``ix_prompt_embeddings_catch_up`` and primary keys.
    """
    of_version = {"model": model, "version": QUESTION_VERSION}
    progress = (await session.execute(_CLAIM_PROGRESS, of_version)).one_or_none()
    if progress is None:
        return None
    found = await session.execute(
        _EMBEDDED_AFTER, {**of_version, **progress._mapping, "limit": _LOOKED_AT_AT_A_TIME}
    )
    positions: list[Position] = []
    missing: list[int] = []
    for row in found:
        if row.has_no_question:
            if len(missing) == limit:
                break
            missing.append(row.prompt_id)
        positions.append(Position(row.written_by, row.prompt_id))
    contents = await session.execute(
        select(Prompt.id, Prompt.content).where(among(Prompt.id, missing, BigInteger))
    )
    without_question = [
        PendingPrompt(row.id, progress.project_id, question=question(row.content))
        for row in contents
    ]
    return OldPrompts(progress.project_id, positions, without_question)


async def store_questions(session: AsyncSession, vectors: Mapping[int, Vector]) -> set[int]:
    """Store the vectors of what prompts ask, by the prompts' ids; gives those that are stored.

    A prompt that is being erased is left out. A vector of an older version is replaced.
    """
    stored = await session.scalars(
        _STORE_QUESTIONS,
        {
            "version": QUESTION_VERSION,
            "ids": list(vectors),
            "vectors": [to_bytes(vector) for vector in vectors.values()],
        },
    )
    return set(stored)


async def move_progress(session: AsyncSession, project_id: int, position: Position) -> None:
    """Note that all questions up to a position have vectors."""
    await session.execute(_MOVE_PROGRESS, {"project_id": project_id, **position.as_parameters()})
