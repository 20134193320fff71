"""A second cluster to restore backups into, and a backup."""

import shutil
import tempfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import psycopg
import pytest

from app.storage.backup import back_up
from app.storage.embedded.postgres import EmbeddedPostgres
from app.storage.engine import raw_dsn


def connection(url: str) -> psycopg.Connection[tuple[Any, ...]]:
    return psycopg.connect(raw_dsn(url), autocommit=True)


@pytest.fixture(scope="module")
def folder() -> Iterator[Path]:
    """A folder that Postgres's user may enter."""
    made = Path(tempfile.mkdtemp(prefix="ab-backup-"))
    made.chmod(0o755)
    yield made
    shutil.rmtree(made)


@pytest.fixture(scope="module")
def server(folder: Path) -> Iterator[EmbeddedPostgres]:
    """Another cluster, which has given out few transaction numbers yet."""
    with EmbeddedPostgres(folder / "data") as started:
        yield started


@pytest.fixture
def target(server: EmbeddedPostgres) -> str:
    """Its database, empty."""
    with connection(server.url) as opened:
        opened.execute("DROP SCHEMA public CASCADE")
        opened.execute("CREATE SCHEMA public")
    return server.url


@pytest.fixture
def backup(database_url: str, tmp_path: Path) -> Path:
    """A backup of a database with some texts in it."""
    with connection(database_url) as opened:
        opened.execute(
            "UPDATE projects SET guidelines = (SELECT string_agg(md5(random()::text), ' ')"
            " FROM generate_series(1, 20000))"
        )
    back_up(database_url, tmp_path / "backup")
    return tmp_path / "backup"
