"""Bring a database to the newest schema, or say what it lacks."""

from pathlib import Path

from alembic import command
from alembic.config import Config
from alembic.runtime.migration import MigrationContext
from alembic.script import ScriptDirectory
from sqlalchemy import Connection, create_engine, make_url, pool, text
from sqlalchemy.ext.asyncio import AsyncEngine

import migrations
from app.errors import CommandFailed

_SCRIPTS = ScriptDirectory(Path(migrations.__file__).parent)
_LOCK = 0x616E6E6F  # "anno": one process migrates at a time


def upgrade(url: str) -> None:
    """Apply every migration that the database lacks; safe to call from several processes."""
    engine = create_engine(
        make_url(url).set(drivername="postgresql+psycopg"), poolclass=pool.NullPool
    )
    with engine.connect() as connection:
        connection.execute(text("SELECT pg_advisory_lock(:lock)"), {"lock": _LOCK})
        connection.commit()
        try:
            config = Config()
            config.set_main_option("script_location", str(_SCRIPTS.dir))
            config.set_main_option("path_separator", "os")
            config.attributes["connection"] = connection
            command.upgrade(config, "head")
        finally:
            connection.rollback()
            connection.execute(text("SELECT pg_advisory_unlock(:lock)"), {"lock": _LOCK})
            connection.commit()


async def pending_migration(engine: AsyncEngine) -> str | None:
    """What the database lacks, in words; None if it is at the newest schema."""
    head = _SCRIPTS.get_current_head()
    async with engine.connect() as connection:
        current = await connection.run_sync(_current_revision)
    if current == head:
        return None
    return f"the database is at migration {current}, this version needs {head}"


async def require_newest_schema(engine: AsyncEngine) -> None:
    """Check that the database is at the newest schema.

    Raises:
        CommandFailed: it is not.
    """
    lack = await pending_migration(engine)
    if lack is not None:
        raise CommandFailed(f"{lack}: run `annotation-budget migrate` first.")


def is_known(revision: str) -> bool:
    """Whether this version has that migration."""
    return revision in {script.revision for script in _SCRIPTS.walk_revisions()}


def _current_revision(connection: Connection) -> str | None:
    return MigrationContext.configure(connection).get_current_revision()
