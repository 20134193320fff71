"""Restore a backup, in one transaction, into an empty database or in place of its contents.

Transaction numbers (``written_by``) mean nothing in another cluster. There they may be higher than
any number used so far, and the planner, which reads only rows below its snapshot's, would wait for
those rows forever. So every row gets a number of the restore's own. Prompts that are in the plan
come first, then the others, in the order in which they would have arrived: whether a prompt is a
near-duplicate of an earlier one depends on that order.
"""

import os
import shutil
import subprocess
from pathlib import Path
from typing import IO, Final

import psycopg

from app.errors import CommandFailed
from app.storage import migrate
from app.storage.engine import raw_dsn
from app.storage.programs import ProgramFailed, Programs, Running

NUMBERS_TAKEN: Final = 100_000
"""How many transaction numbers a restore uses up, so that its rows can be put in order."""
_CHUNK_BYTES: Final = 1024 * 1024


class BackupUnusable(CommandFailed):
    """The file is not a complete backup that this version can restore."""


class DatabaseUnsuited(CommandFailed):
    """The database is in use, or not empty."""


_OTHER_SESSIONS: Final = """
SELECT count(*) FROM pg_stat_activity
WHERE datname = current_database() AND pid <> pg_backend_pid()
    AND application_name LIKE 'annotation-budget%'
"""

_HAS_TABLES: Final = "SELECT EXISTS (SELECT FROM pg_tables WHERE schemaname = 'public')"

_TAKE_NUMBERS: Final = f"""
DO $$ BEGIN
    FOR number IN 1..{NUMBERS_TAKEN} LOOP
        PERFORM pg_current_xact_id();
        COMMIT;
    END LOOP;
END $$
"""

_BEGIN: Final = """
SET lock_timeout = '30s';
DO $$ DECLARE names text; BEGIN
    SELECT string_agg(format('%I.%I', schemaname, tablename), ', ') INTO names
    FROM pg_tables WHERE schemaname = 'public';
    IF names IS NOT NULL THEN EXECUTE 'DROP TABLE ' || names || ' CASCADE'; END IF;
END $$;
"""

# A run is a sequence of rows whose prompts' ids rise. Rows with the same transaction number are
# read in the order of these ids, so a run needs only one number. If there are more runs than
# numbers, the last runs share one.
_RENUMBER: Final = f"""
WITH arriving AS (
    SELECT written.prompt_id, written.project_id, written.written_by,
        (written.prompt_id < lag(written.prompt_id) OVER (
            PARTITION BY written.project_id ORDER BY written.written_by, written.prompt_id
        ))::int AS falls
    FROM public.prompt_embeddings AS written
    JOIN public.prompts ON prompts.id = written.prompt_id
    WHERE prompts.group_id IS NULL
), runs AS (
    SELECT prompt_id, 1 + coalesce(sum(falls) OVER (
        PARTITION BY project_id ORDER BY written_by, prompt_id
    ), 0) AS run
    FROM arriving
), numbered AS (
    SELECT written.prompt_id,
        least(coalesce(runs.run, 0), {NUMBERS_TAKEN - 1})
            + pg_current_xact_id()::text::bigint - {NUMBERS_TAKEN} AS number
    FROM public.prompt_embeddings AS written
    LEFT JOIN runs ON runs.prompt_id = written.prompt_id
)
UPDATE public.prompt_embeddings
SET written_by = numbered.number::text::xid8
FROM numbered
WHERE numbered.prompt_id = prompt_embeddings.prompt_id;
UPDATE public.erased_prompts
SET written_by = (pg_current_xact_id()::text::bigint - {NUMBERS_TAKEN})::text::xid8;
"""  # noqa: S608 - put together from a number


def check_file(file: Path) -> None:
    """Check that the file is a complete backup, of a schema that this version knows.

    Raises:
        BackupUnusable: it is not.
        BinariesMissing: there is no pg_restore.
    """
    programs = Programs.find()
    if not file.is_file():
        raise BackupUnusable(f"{file} is not a file.")
    try:
        listed = programs.run("pg_restore", "--list", str(file))
        if " TABLE DATA public alembic_version " not in listed:
            raise BackupUnusable(f"{file} is a dump, but not of this service's database.")
        revision = _revision(
            programs.run(
                "pg_restore", "--data-only", "--table=alembic_version", "--file=-", str(file)
            )
        )
        # This reads and unpacks the whole file.
        programs.run("pg_restore", f"--file={os.devnull}", str(file))
    except ProgramFailed as error:
        raise BackupUnusable(f"{file} is not a complete backup: {error}") from error
    if not migrate.is_known(revision):
        raise BackupUnusable(
            f"{file} is from a newer version (migration {revision}): restore it with that version."
        )


def check_target(url: str, *, force: bool) -> None:
    """Check that the database may be overwritten.

    Raises:
        DatabaseUnsuited: the service is connected to it, or it is not empty and not ``force``.
        psycopg.OperationalError: it does not answer.
    """
    with psycopg.connect(raw_dsn(url), autocommit=True) as connection:
        if _value(connection, _OTHER_SESSIONS):
            raise DatabaseUnsuited(
                "The service is connected to the database: stop every part of it first."
            )
        if not force and _value(connection, _HAS_TABLES):
            raise DatabaseUnsuited(
                "The database is not empty: --force replaces everything that is in it."
            )


def load(url: str, file: Path) -> None:
    """Replace everything in the database by the backup, or change nothing.

    Raises:
        ProgramFailed: the file is damaged, or the database refused it.
        psycopg.OperationalError: the database does not answer.
    """
    programs = Programs.find()
    with psycopg.connect(raw_dsn(url), autocommit=True) as connection:
        connection.execute(_TAKE_NUMBERS)
    with (
        programs.start(
            "pg_restore",
            *("--no-owner", "--no-privileges", "--file=-", str(file)),
            stdout=subprocess.PIPE,
        ) as reader,
        programs.start(
            "psql",
            *(
                "--no-psqlrc",
                "--quiet",
                "--set=ON_ERROR_STOP=1",
                "--single-transaction",
                "--file=-",
            ),
            url=url,
            stdin=subprocess.PIPE,
        ) as writer,
    ):
        _copy(reader, writer)
    with psycopg.connect(raw_dsn(url), autocommit=True) as connection:
        connection.execute("VACUUM (ANALYZE)")


def _copy(reader: Running, writer: Running) -> None:
    """Pipe the script from one to the other. Commits only if the reader has succeeded."""
    assert reader.process.stdout is not None
    script: IO[bytes] | None = writer.process.stdin
    assert script is not None
    try:
        script.write(_BEGIN.encode())
        shutil.copyfileobj(reader.process.stdout, script, _CHUNK_BYTES)
        reader.finish()
        script.write(_RENUMBER.encode())
        script.close()
    except BrokenPipeError:
        pass  # writer.finish() raises the reason
    writer.finish()


def _revision(script: str) -> str:
    """The migration that a script of the table ``alembic_version`` holds."""
    lines = iter(script.splitlines())
    for line in lines:
        if line.startswith("COPY public.alembic_version "):
            return next(lines, "")
    return ""


def _value(connection: psycopg.Connection[tuple[object, ...]], query: str) -> object:
    row = connection.execute(query.encode()).fetchone()
    assert row is not None
    return row[0]
