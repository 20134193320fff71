"""A backup holds everything, and what is restored from it answers the same."""

import asyncio
import contextlib
import time
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import httpx
import psycopg
import pytest
from alembic import command
from alembic.config import Config
from sqlalchemy import create_engine, make_url, text

import migrations
from app.errors import BackupUnusable, BackupUnwritable, DatabaseUnsuited, ProgramFailed
from app.main import create_app
from app.planner import process as plan
from app.settings import Settings
from app.storage.backup import back_up, check_file, check_target, load
from app.storage.engine import raw_dsn
from app.storage.migrate import upgrade
from app.storage.programs import Programs
from app.storage.sessions import Sessions
from tests.prompts.sending import embedded
from tests.storage.conftest import connection
from tests.support.api import ADMIN_KEY, client_of

DEADLINE_SECONDS = 120.0


def tables(url: str) -> dict[str, int]:
    """How many rows each table has."""
    with connection(url) as opened:
        names = opened.execute(
            "SELECT tablename FROM pg_tables WHERE schemaname = 'public'"
        ).fetchall()
        counts = {}
        for (name,) in names:
            row = opened.execute(f'SELECT count(*) FROM "{name}"'.encode()).fetchone()
            assert row is not None
            counts[name] = row[0]
    return counts


async def until_planned(url: str) -> None:
    """Until every pair of every prompt is in the plan."""
    deadline = time.monotonic() + DEADLINE_SECONDS
    with connection(url) as opened:
        while opened.execute(
            "SELECT FROM prompts WHERE group_id IS NULL OR pairs_planned < pairs_total LIMIT 1"
        ).fetchall():
            assert time.monotonic() < deadline, "prompts do not arrive in the plan"
            await asyncio.sleep(0.05)


@contextlib.asynccontextmanager
async def planning(settings: Settings) -> AsyncIterator[None]:
    """A planner at work."""
    task = asyncio.create_task(plan.run(settings, str(settings.database_url)))
    try:
        yield
    finally:
        task.cancel()
        with contextlib.suppress(asyncio.CancelledError):
            await task


@contextlib.asynccontextmanager
async def serving(settings: Settings) -> AsyncIterator[httpx.AsyncClient]:
    """An API over a database, and an admin's client."""
    application = create_app(settings)
    async with (
        application.router.lifespan_context(application),
        client_of(application, ADMIN_KEY) as client,
    ):
        yield client


def prompts(numbers: range) -> dict[str, Any]:
    # Some are near-duplicates of others.
    return {
        "prompts": [
            embedded([1, number % 5], [0, 1 + number % 3], [1, 1], id=f"p{number}")
            | {"prompt": f"prompt {number}"}
            for number in numbers
        ]
    }


# What no planner changes.
LASTING = (
    "/next-pairs?budget=3",
    "/annotators",
    "/labels?limit=1000",
    "/exports/dpo",
)


async def answers(client: httpx.AsyncClient, *paths: str) -> dict[str, Any]:
    """What the service says at these paths; a planner that has just started may need a moment."""
    told: dict[str, Any] = {}
    deadline = time.monotonic() + DEADLINE_SECONDS
    for path in paths:
        answer = await client.get(path)
        while answer.status_code == 503 and time.monotonic() < deadline:
            await asyncio.sleep(0.1)
            answer = await client.get(path)
        assert answer.status_code == 200, answer.text
        told[path] = answer.content
    return told


async def groups(client: httpx.AsyncClient, prompt_ids: set[str]) -> dict[str, str]:
    """The group of each of these prompts that is stored."""
    stored = (await client.get("/prompts?limit=1000")).json()["prompts"]
    return {prompt["id"]: prompt["group"] for prompt in stored if prompt["id"] in prompt_ids}


async def test_a_restored_service_answers_the_same_and_goes_on(
    client: httpx.AsyncClient, settings: Settings, target: str, tmp_path: Path
) -> None:
    with connection(str(settings.database_url)) as opened:
        # Numbers that the other cluster will not have given out.
        opened.execute(
            "DO $$ BEGIN FOR i IN 1..300000 LOOP"
            " PERFORM pg_current_xact_id(); COMMIT; END LOOP; END $$"
        )
    async with planning(settings):
        stored = (await client.post("/prompts", json=prompts(range(40)))).json()["prompts"]
        await until_planned(str(settings.database_url))
        pairs = (await client.get("/next-pairs?budget=6")).json()["pairs"]
        labels = [
            {"assignment_id": pair["assignment_id"], "choice": choice, "seconds": 3}
            for pair, choice in zip(pairs[:3], ("left", "right", "skip"), strict=True)
        ]
        assert (await client.post("/labels", json={"labels": labels})).status_code == 201
        ids = [prompt["id"] for prompt in stored]
        assert (await client.delete(f"/prompts/{ids[30]}")).status_code == 204
        similar = [f"/prompts/{prompt_id}/similar?limit=5" for prompt_id in ids[:4]]
        similar_before = await answers(client, *similar)
    # No planner runs while these are compared: some time after claims and labels, it adds pairs to
    # the plan and fits the preference model again, so counts and rewards would differ.
    everything = (
        # LASTING begins with a claim, which may replace the erased pair, and the rest count that.
        *LASTING,
        *("/projects/default", "/prompts?limit=1000", f"/prompts/{ids[3]}", "/stats"),
        "/exports/dpo?metadata=true",
    )
    before = await answers(client, *everything)
    groups_before = await groups(client, set(ids))

    size = await asyncio.to_thread(back_up, str(settings.database_url), tmp_path / "backup")
    assert size == (tmp_path / "backup").stat().st_size
    check_file(tmp_path / "backup")
    check_target(target, force=False)
    await asyncio.to_thread(load, target, tmp_path / "backup")

    restored = Settings.model_validate(
        {"database_url": target, "data_dir": tmp_path / "data", "poll_seconds": 0.2}
    )
    async with serving(restored) as other:
        assert await answers(other, *everything) == before
        async with planning(restored):
            assert await answers(other, *similar) == similar_before
            made = await other.post("/prompts", json=prompts(range(50, 60)))
            assert made.json()["created"] == 10
            await until_planned(target)
            assert await groups(other, set(ids)) == groups_before
            assert await answers(other, *LASTING) == {path: before[path] for path in LASTING}
            new = made.json()["prompts"][0]["id"]
            assert (await other.get(f"/prompts/{new}/similar")).json()["similar"]


async def add_prompts(session: Any, *, planned: list[int], unplanned: list[int]) -> None:
    """Prompts of these numbers; the transactions that wrote them follow in this order."""
    for place, number in enumerate(planned + unplanned):
        await session.execute(
            text(
                "INSERT INTO prompts (id, project_id, content, fingerprint, status, group_id,"
                " pairs_total) OVERRIDING SYSTEM VALUE"
                " SELECT :number, id, '\"?\"', :name, 'ready', :group, 1 FROM projects"
            ),
            {
                "number": number,
                "name": str(number).encode(),
                "group": number if number in planned else None,
            },
        )
        written = {"number": number, "written": str(10**12 + place)}
        for table, column, value in (
            ("prompt_embeddings", "", ""),
            ("question_embeddings", "version, ", "1, "),
        ):
            await session.execute(
                text(
                    f"INSERT INTO {table} (prompt_id, project_id, {column}vector, written_by)"
                    f" SELECT :number, id, {value}'', CAST(:written AS xid8) FROM projects"
                ),
                written,
            )


async def test_rows_get_numbers_of_the_restores_own_in_the_order_of_arrival(
    database_url: str, sessions: Sessions, target: str, tmp_path: Path
) -> None:
    async with sessions.begin() as session:
        await add_prompts(session, planned=[7, 3], unplanned=[5, 6, 2, 9, 8, 1])
        await session.execute(
            text(
                "INSERT INTO erased_prompts (prompt_id, project_id, written_by)"
                " SELECT 99, id, CAST('1000000000000' AS xid8) FROM projects"
            )
        )
        await session.execute(
            text(
                "INSERT INTO question_progress (project_id, version, written_by, prompt_id)"
                " SELECT id, 1, CAST('1000000000000' AS xid8), 1 FROM projects"
            )
        )
    back_up(database_url, tmp_path / "backup")
    with connection(target) as opened:
        (before,) = opened.execute("SELECT pg_current_xact_id()::text::bigint").fetchall()
        load(target, tmp_path / "backup")
        rows, questions = (
            opened.execute(
                f"SELECT prompt_id, written_by::text::bigint FROM {table}"
                " ORDER BY written_by, prompt_id".encode()
            ).fetchall()
            for table in ("prompt_embeddings", "question_embeddings")
        )
        progress = opened.execute("SELECT FROM question_progress").fetchall()
        erased = opened.execute("SELECT written_by::text::bigint FROM erased_prompts").fetchall()
        readable = opened.execute(
            "SELECT bool_and(written_by < pg_snapshot_xmin(pg_current_snapshot()))"
            " FROM (SELECT written_by FROM prompt_embeddings"
            " UNION ALL SELECT written_by FROM question_embeddings"
            " UNION ALL SELECT written_by FROM erased_prompts) AS written"
        ).fetchall()
    # The planned ones have their groups; their order says nothing any more.
    assert [number for number, _ in rows] == [3, 7, 5, 6, 2, 9, 8, 1]
    assert questions == rows
    # The embedder looks again for questions without a vector, from the beginning.
    assert progress == []
    assert readable == [(True,)]
    assert min(number for _, number in [*rows, (0, erased[0][0])]) >= before[0]


def test_a_backup_of_a_version_without_questions_is_restored_and_migrated(
    database_url: str, target: str, tmp_path: Path
) -> None:
    back_up(database_url, tmp_path / "newest")
    load(target, tmp_path / "newest")
    _downgrade(target, "0002")
    assert "question_embeddings" not in tables(target)
    back_up(target, tmp_path / "older")

    check_file(tmp_path / "older")
    load(target, tmp_path / "older")
    upgrade(target)

    assert tables(target) == tables(database_url)


def _downgrade(url: str, revision: str) -> None:
    config = Config()
    config.set_main_option("script_location", str(Path(migrations.__file__).parent))
    config.set_main_option("path_separator", "os")
    engine = create_engine(make_url(url).set(drivername="postgresql+psycopg"))
    with engine.begin() as connection:
        config.attributes["connection"] = connection
        command.downgrade(config, revision)
    engine.dispose()


def test_a_file_that_is_damaged_or_something_else_is_refused(
    backup: Path, postgres_url: str, tmp_path: Path
) -> None:
    whole = backup.read_bytes()
    flipped = bytearray(whole)
    flipped[len(whole) // 2] ^= 0xFF
    other = tmp_path / "other"
    check_file(backup)
    for content, words in (
        (whole[: len(whole) // 2], "not a complete backup"),
        (bytes(flipped), "not a complete backup"),
        (b"SELECT 1;\n", "not a complete backup"),
        (b"", "not a complete backup"),
    ):
        other.write_bytes(content)
        with pytest.raises(BackupUnusable, match=words):
            check_file(other)
    with pytest.raises(BackupUnusable, match="is not a file"):
        check_file(tmp_path / "missing")
    back_up(postgres_url, other)
    with pytest.raises(BackupUnusable, match="not of this service's database"):
        check_file(other)


def test_a_backup_of_a_newer_version_is_refused(database_url: str, tmp_path: Path) -> None:
    with connection(database_url) as opened:
        (revision,) = opened.execute("SELECT version_num FROM alembic_version").fetchall()
        opened.execute("UPDATE alembic_version SET version_num = '9999'")
        try:
            back_up(database_url, tmp_path / "backup")
        finally:
            opened.execute("UPDATE alembic_version SET version_num = %s", revision)
    with pytest.raises(BackupUnusable, match="newer version"):
        check_file(tmp_path / "backup")


def test_a_restore_that_fails_changes_nothing(backup: Path, target: str) -> None:
    upgrade(target)
    before = tables(target)
    assert before["projects"] == 1
    whole = backup.read_bytes()
    backup.write_bytes(whole[: len(whole) * 3 // 4])
    with pytest.raises(ProgramFailed, match="pg_restore failed"):
        load(target, backup)
    assert tables(target) == before


def test_what_is_not_empty_is_replaced_by_force_alone(
    backup: Path, database_url: str, target: str
) -> None:
    upgrade(target)
    with connection(target) as opened:
        opened.execute("CREATE TABLE of_a_newer_version (id bigint)")
        opened.execute("UPDATE projects SET name = 'another'")
    with pytest.raises(DatabaseUnsuited, match="--force replaces everything"):
        check_target(target, force=False)
    check_target(target, force=True)
    load(target, backup)
    assert tables(target) == tables(database_url)
    with connection(target) as opened:
        assert opened.execute("SELECT name FROM projects").fetchall() == [("default",)]


async def test_a_database_that_the_service_is_connected_to_is_refused(
    client: httpx.AsyncClient, database_url: str
) -> None:
    assert (await client.get("/projects")).status_code == 200
    with pytest.raises(DatabaseUnsuited, match="stop every part of it first"):
        check_target(database_url, force=True)


def test_sessions_and_invitations_are_in_no_backup(
    database_url: str, target: str, tmp_path: Path
) -> None:
    with psycopg.connect(raw_dsn(database_url), autocommit=True) as connection:
        connection.execute(
            "INSERT INTO annotators (name, role, key_hash, all_projects, active)"
            " VALUES ('ana', 'annotator', 'key', true, true)"
        )
        connection.execute(
            "INSERT INTO sessions (token_hash, annotator_id, key_hash, expires_at)"
            " SELECT 'token', id, key_hash, now() + interval '1 day' FROM annotators"
        )
        connection.execute(
            "INSERT INTO invitations (annotator_id, token_hash, expires_at)"
            " SELECT id, 'token', now() + interval '1 day' FROM annotators"
        )
    back_up(database_url, tmp_path / "backup")
    load(target, tmp_path / "backup")
    with psycopg.connect(raw_dsn(target)) as connection:
        counts = "SELECT (SELECT count(*) FROM annotators), (SELECT count(*) FROM sessions),"
        counts += " (SELECT count(*) FROM invitations)"
        assert connection.execute(counts).fetchone() == (1, 0, 0)


def test_a_backup_appears_whole_for_its_owner_alone_or_not_at_all(
    database_url: str, tmp_path: Path
) -> None:
    file = tmp_path / "backup"
    file.write_text("an older one")
    with pytest.raises(ProgramFailed, match="pg_dump failed"):
        back_up("postgresql://nobody:a-password@127.0.0.1:1/nothing", file)
    assert file.read_text() == "an older one"
    back_up(database_url, file)
    assert file.stat().st_mode & 0o777 == 0o600
    assert list(tmp_path.iterdir()) == [file]
    with pytest.raises(BackupUnwritable, match="missing/backup cannot be written"):
        back_up(database_url, tmp_path / "missing" / "backup")


def test_a_password_is_no_argument_of_a_program(
    database_url: str, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    (tmp_path / "tell").write_text('#!/bin/sh\necho "$@ but $PGPASSWORD"\n')
    (tmp_path / "tell").chmod(0o755)
    told = Programs(tmp_path).run("tell", url="postgresql://ana:a-secret@db/budget")
    arguments, _, password = told.partition(" but ")
    assert "dbname=budget" in arguments
    assert "a-secret" not in arguments
    assert password.strip() == "a-secret"
