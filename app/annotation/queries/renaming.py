"""The SQL that gives an annotator's labels another name. Served by ``ix_labels_annotator``."""

from collections.abc import Collection
from typing import Final

from sqlalchemy import text
from sqlalchemy.ext.asyncio import AsyncSession

LOCK_PROJECTS: Final = text("""
    SELECT id FROM projects
    WHERE EXISTS (
        SELECT FROM labels WHERE labels.annotator = :name AND labels.project_id = projects.id
    )
    ORDER BY id
    FOR NO KEY UPDATE
""")
HAS_LABELS: Final = text("SELECT EXISTS (SELECT FROM labels WHERE annotator = :new_name)")
RENAME_LABELS: Final = text("UPDATE labels SET annotator = :new_name WHERE annotator = :name")
_COUNT_RENAMING: Final = text("""
    UPDATE projects SET renamings = renamings + 1 WHERE id = ANY(CAST(:ids AS bigint[]))
""")
_COUNT_LABELS: Final = text("""
    SELECT count(*) FROM labels WHERE annotator = :name AND status <> 'withdrawn'
""")


async def lock_projects_of(session: AsyncSession, name: str) -> list[int]:
    """The projects with labels of that name, their rows locked."""
    return list(await session.scalars(LOCK_PROJECTS, {"name": name}))


async def has_labels(session: AsyncSession, new_name: str) -> bool:
    """Whether a label has that name, withdrawn or not."""
    return bool(await session.scalar(HAS_LABELS, {"new_name": new_name}))


async def count_labels(session: AsyncSession, name: str) -> int:
    """How many labels have that name, without those that were withdrawn."""
    return int((await session.execute(_COUNT_LABELS, {"name": name})).scalar_one())


async def rename_labels(
    session: AsyncSession, name: str, new_name: str, project_ids: Collection[int]
) -> None:
    """Give all labels of that name another; ``project_ids`` have some of them, and are locked."""
    await session.execute(RENAME_LABELS, {"name": name, "new_name": new_name})
    await session.execute(_COUNT_RENAMING, {"ids": list(project_ids)})
