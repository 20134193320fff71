"""The SQL of imports that run."""

from collections.abc import Sequence
from typing import Any

from sqlalchemy import Result, Row, text
from sqlalchemy.ext.asyncio import AsyncSession

from app.errors import UnknownProject
from app.storage import predicates
from app.storage.sql import statement

# The project cannot be deleted before the import is there to be deleted with it.
_BEGIN = text(
    """
    INSERT INTO imports (project_id, expires_at)
    SELECT id, clock_timestamp() + make_interval(secs => :lease_seconds)
    FROM projects WHERE id = :project_id FOR KEY SHARE
    RETURNING id
    """
)
_RENEW = text(
    """
    UPDATE imports SET expires_at = clock_timestamp() + make_interval(secs => :lease_seconds)
    WHERE id = :import_id
    """
)
_HOLD = text("SELECT id FROM imports WHERE id = :import_id FOR KEY SHARE")
_LOCK = text("SELECT id FROM imports WHERE id = :import_id FOR UPDATE")
_DELETE_IF_UNUSED = text(
    """
    DELETE FROM imports
    WHERE id = :import_id AND NOT EXISTS (
        SELECT FROM prompts
        WHERE prompts.project_id = imports.project_id AND prompts.import_id = :import_id
    )
    """
)
_END = text(
    """
    UPDATE imports SET expires_at = least(expires_at, clock_timestamp()) WHERE id = :import_id
    """
)

_NOTE_PROGRESS = text(
    """
    UPDATE imports
    SET created = :created, extended = :extended, unchanged = :unchanged, rejected = :rejected
    WHERE id = :import_id
    """
)
_LIST = statement(
    """
    SELECT id, started_at, created, extended, unchanged, rejected, {running} AS is_running
    FROM imports WHERE project_id = :project_id ORDER BY id
    """,
    running=predicates.RUNNING_IMPORT,
)


async def begin(session: AsyncSession, project_id: int, lease_seconds: float) -> int:
    """Begin an import; gives its number. It lapses unless it is renewed in time.

    Raises:
        UnknownProject: the project has been deleted.
    """
    parameters = {"project_id": project_id, "lease_seconds": lease_seconds}
    import_id: int | None = await session.scalar(_BEGIN, parameters)
    if import_id is None:
        raise UnknownProject("the project has been deleted")
    return import_id


async def renew(session: AsyncSession, import_id: int, lease_seconds: float) -> None:
    """Renew an import."""
    await session.execute(_RENEW, {"import_id": import_id, "lease_seconds": lease_seconds})


async def hold(session: AsyncSession, import_id: int) -> bool:
    """Keep an import's row until the transaction ends; False: it had lapsed, and is gone."""
    return await session.scalar(_HOLD, {"import_id": import_id}) is not None


async def end(session: AsyncSession, import_id: int) -> None:
    """End an import. Its row goes when the planner has released what it added to.

    Served by ``ix_prompts_import``.
    """
    # Locked first: a batch that is just being stored keeps the row, and may add prompts.
    await session.execute(_LOCK, {"import_id": import_id})
    await session.execute(_DELETE_IF_UNUSED, {"import_id": import_id})
    await session.execute(_END, {"import_id": import_id})


async def note_progress(session: AsyncSession, import_id: int, **counts: int) -> None:
    """Write what has become of an import's lines so far."""
    await session.execute(_NOTE_PROGRESS, {"import_id": import_id, **counts})


async def list_imports(session: AsyncSession, project_id: int) -> Sequence[Row[*tuple[Any, ...]]]:
    """The imports of a project whose rows are still there. Served by ``ix_imports_project``."""
    found: Result[Any] = await session.execute(_LIST, {"project_id": project_id})
    return found.all()
