"""SQL of imports that have ended: what they added to is released, some prompts at a time."""

from sqlalchemy import text
from sqlalchemy.ext.asyncio import AsyncSession

from app.storage.predicates import RELEASABLE_IMPORT, RUNNING_IMPORT
from app.storage.sql import statement

_PROMPTS_AT_A_TIME = 1024

_RELEASABLE = statement(
    "SELECT id FROM imports WHERE project_id = :project_id AND {releasable} ORDER BY id LIMIT 1",
    releasable=RELEASABLE_IMPORT,
)
# Prompts that an embedder is at work on are left for the next turn.
LOCK_ADDED_TO = text(
    """
    SELECT id FROM prompts
    WHERE project_id = :project_id AND import_id = :import_id
    ORDER BY id
    LIMIT :limit
    FOR NO KEY UPDATE SKIP LOCKED
    """
)
_RELEASE = text("UPDATE prompts SET import_id = NULL WHERE id = ANY(CAST(:ids AS bigint[]))")
_ANNOUNCE_VECTORS = """
    UPDATE {embeddings} SET written_by = pg_current_xact_id()
    FROM prompts
    WHERE prompt_id = ANY(CAST(:ids AS bigint[])) AND prompts.id = prompt_id AND group_id IS NULL
"""
_ANNOUNCE_OWN_VECTORS = statement(_ANNOUNCE_VECTORS, embeddings="prompt_embeddings")
_ANNOUNCE_QUESTIONS = statement(_ANNOUNCE_VECTORS, embeddings="question_embeddings")
_LOCK_ENDED = statement(
    "SELECT id FROM imports WHERE id = :import_id AND NOT {running} FOR UPDATE SKIP LOCKED",
    running=RUNNING_IMPORT,
)
_DELETE = text(
    """
    DELETE FROM imports
    WHERE id = :import_id AND NOT EXISTS (
        SELECT FROM prompts
        WHERE prompts.project_id = imports.project_id AND prompts.import_id = :import_id
    )
    RETURNING id
    """
)


async def release_prompts(session: AsyncSession, project_id: int) -> bool:
    """Release some prompts of an import that has ended; gives whether that led any further.

    Their vectors count as written now: the index, which has passed over them, finds them again.
    Served by ``ix_prompts_import``.
    """
    import_id = await session.scalar(_RELEASABLE, {"project_id": project_id})
    if import_id is None:
        return False
    which = {"project_id": project_id, "import_id": import_id, "limit": _PROMPTS_AT_A_TIME}
    ids = (await session.scalars(LOCK_ADDED_TO, which)).all()
    if ids:
        await session.execute(_ANNOUNCE_OWN_VECTORS, {"ids": ids})
        await session.execute(_ANNOUNCE_QUESTIONS, {"ids": ids})
        await session.execute(_RELEASE, {"ids": ids})
        return True
    # Locked first: a batch that is just being stored keeps the row, and may have added prompts.
    if await session.scalar(_LOCK_ENDED, {"import_id": import_id}) is None:
        return False
    return await session.scalar(_DELETE, {"import_id": import_id}) is not None
