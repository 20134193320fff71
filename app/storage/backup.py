"""Back the database up to one file, in pg_dump's custom format, and restore it.

A restore runs in one transaction, and replaces everything in the database. It renumbers the rows
that carry a transaction number (``written_by``): in another cluster that number can lie far in the
future, and the planner, which reads only the rows of finished transactions, would never read them.
The new numbers are the restore's own. Prompts that already have a group come first; the others
follow in their old order, since it decides which prompt is a near-duplicate of which.
"""

import os
import re
import shutil
import subprocess
from pathlib import Path
from typing import IO, Final

import psycopg

from app.errors import BackupUnusable, BackupUnwritable, DatabaseUnsuited, ProgramFailed
from app.storage import migrate
from app.storage.embedded.folder import sync_folder
from app.storage.engine import raw_dsn
from app.storage.programs import Programs, Running
from app.storage.sql import fill

_NUMBERS: Final = 100_000
"""Transaction numbers that a restore takes for its rows; enough to keep their order."""

_NOT_KEPT: Final = ("sessions", "invitations")

_OTHER_SESSIONS: Final = """
SELECT count(*) FROM pg_stat_activity
WHERE datname = current_database() AND pid <> pg_backend_pid()
    AND application_name LIKE 'annotation-budget%'
"""

_HAS_TABLES: Final = "SELECT EXISTS (SELECT FROM pg_tables WHERE schemaname = 'public')"

_TAKE_NUMBERS: Final = fill(
    """
DO $$ BEGIN
    FOR number IN 1..{numbers} LOOP
        PERFORM pg_current_xact_id();
        COMMIT;
    END LOOP;
END $$
""",
    numbers=str(_NUMBERS),
)

_DROP_TABLES: Final = """
SET lock_timeout = '30s';
DO $$ DECLARE names text; BEGIN
    SELECT string_agg(format('%I.%I', schemaname, tablename), ', ') INTO names
    FROM pg_tables WHERE schemaname = 'public';
    IF names IS NOT NULL THEN EXECUTE 'DROP TABLE ' || names || ' CASCADE'; END IF;
END $$;
"""

# A run is a stretch of rows whose prompts' ids rise. The planner reads rows with the same number in
# the order of their prompts' ids, so one number is enough for a run. If there are more runs than
# numbers, the last runs share one.
_RENUMBER_EMBEDDINGS: Final = """
WITH arriving AS (
    SELECT written.prompt_id, written.project_id, written.written_by,
        (written.prompt_id < lag(written.prompt_id) OVER (
            PARTITION BY written.project_id ORDER BY written.written_by, written.prompt_id
        ))::int AS falls
    FROM public.{embeddings} AS written
    JOIN public.prompts ON prompts.id = written.prompt_id
    WHERE prompts.group_id IS NULL
), runs AS (
    SELECT prompt_id, 1 + coalesce(sum(falls) OVER (
        PARTITION BY project_id ORDER BY written_by, prompt_id
    ), 0) AS run
    FROM arriving
), numbered AS (
    SELECT written.prompt_id,
        least(coalesce(runs.run, 0), {last})
            + pg_current_xact_id()::text::bigint - {numbers} AS number
    FROM public.{embeddings} AS written
    LEFT JOIN runs ON runs.prompt_id = written.prompt_id
)
UPDATE public.{embeddings}
SET written_by = numbered.number::text::xid8
FROM numbered
WHERE numbered.prompt_id = {embeddings}.prompt_id;
"""
_NUMBERED: Final = {"numbers": str(_NUMBERS), "last": str(_NUMBERS - 1)}

# Without progress, the embedder looks again for questions without a vector, from the beginning.
# A backup of an older version has no vectors of questions.
_RENUMBER: Final = fill(
    """
{prompts}
UPDATE public.erased_prompts
SET written_by = (pg_current_xact_id()::text::bigint - {numbers})::text::xid8;
SELECT to_regclass('public.question_embeddings') IS NOT NULL AS has_questions \\gset
\\if :has_questions
{questions}
DELETE FROM public.question_progress;
\\endif
""",
    prompts=fill(_RENUMBER_EMBEDDINGS, embeddings="prompt_embeddings", **_NUMBERED),
    questions=fill(_RENUMBER_EMBEDDINGS, embeddings="question_embeddings", **_NUMBERED),
    numbers=str(_NUMBERS),
)


def back_up(url: str, file: Path) -> int:
    """Write a backup of the database as of one instant, and return its size in bytes.

    The file appears whole and synced to disk, or not at all. Only its owner may read it: it holds
    all texts, and the hashes of all keys. The service may run meanwhile.

    Raises:
        BackupUnwritable: the file cannot be written.
        ProgramFailed: pg_dump failed.
        BinariesMissing: there is no pg_dump.
    """
    programs = Programs.find()
    partial = file.with_name(f".{file.name}.{os.getpid()}.partial")
    try:
        os.close(os.open(partial, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600))
        try:
            # pg_dump syncs the file itself. Sessions and invitations are left out: a restore must
            # not bring back one that has been ended or used since.
            left_out = (f"--exclude-table-data=public.{table}" for table in _NOT_KEPT)
            options = ("--format=custom", *left_out)
            programs.run("pg_dump", *options, f"--file={partial}", url=url)
            size = partial.stat().st_size
            partial.replace(file)
        finally:
            partial.unlink(missing_ok=True)
        sync_folder(file.absolute().parent)
    except OSError as error:
        raise BackupUnwritable(f"{file} cannot be written: {error.strerror}.") from error
    return size


def check_file(file: Path) -> None:
    """Check that the file is a complete backup of a schema that this version knows.

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
        script = programs.run(
            "pg_restore", "--data-only", "--table=alembic_version", "--file=-", str(file)
        )
        # Reads and decompresses the whole file.
        programs.run("pg_restore", f"--file={os.devnull}", str(file))
    except ProgramFailed as error:
        raise BackupUnusable(f"{file} is not a complete backup: {error}") from error
    copied = re.search(r"^COPY public\.alembic_version .*\n(.*)", script, re.MULTILINE)
    revision = copied[1] if copied else ""
    if not migrate.is_known(revision):
        raise BackupUnusable(
            f"{file} is from a newer version (migration {revision}): restore it with that one."
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
    """Replace everything in the database with what the file holds, or change nothing.

    Raises:
        ProgramFailed: the file is damaged, or the database refused it.
        psycopg.OperationalError: the database does not answer.
    """
    programs = Programs.find()
    with psycopg.connect(raw_dsn(url), autocommit=True) as connection:
        connection.execute(_TAKE_NUMBERS.encode())
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
    """Pipe the reader's script to the writer, which commits only if the reader succeeded."""
    assert reader.process.stdout is not None
    script: IO[bytes] | None = writer.process.stdin
    assert script is not None
    try:
        script.write(_DROP_TABLES.encode())
        shutil.copyfileobj(reader.process.stdout, script)
        reader.finish()
        script.write(_RENUMBER.encode())
        script.close()
    except BrokenPipeError:
        pass  # the writer has failed, and says why below
    writer.finish()


def _value(connection: psycopg.Connection[tuple[object, ...]], query: str) -> object:
    row = connection.execute(query.encode()).fetchone()
    assert row is not None
    return row[0]
