"""A real Postgres for every test: one server a run, one migrated database, emptied each time."""

import importlib
import os
import secrets
import tempfile
from collections.abc import AsyncIterator, Iterator
from contextlib import AsyncExitStack
from pathlib import Path

import httpx
import hypothesis
import psycopg
import pytest
import structlog
from fastapi import FastAPI
from psycopg import sql
from sqlalchemy import make_url
from sqlalchemy.ext.asyncio import AsyncSession, async_sessionmaker

from app.accounts.service import ensure_admin
from app.log import configure_logging
from app.main import create_app
from app.settings import Settings
from app.storage.embedded.postgres import EmbeddedPostgres
from app.storage.engine import create_engine, raw_dsn, session_factory
from app.storage.migrate import upgrade
from app.storage.tables import Base
from tests.support import quick
from tests.support.api import ADMIN_KEY, ClientFactory, client_of

first_schema = importlib.import_module("migrations.versions.0001_first_schema")
default_strategy = importlib.import_module("migrations.versions.0002_default_strategy")

configure_logging("WARNING", "console")
# A logger that is kept from an earlier test would not be seen by `capture_logs`.
structlog.configure(cache_logger_on_first_use=False)


def pytest_configure(config: pytest.Config) -> None:
    """Let no property test fail by its time; try fewer examples in `make quick`."""
    any_speed = hypothesis.settings(
        deadline=None, suppress_health_check=[hypothesis.HealthCheck.too_slow]
    )
    hypothesis.settings.register_profile("full", any_speed)
    hypothesis.settings.register_profile("quick", any_speed, max_examples=20)
    hypothesis.settings.load_profile("quick" if quick.only_quick(config) else "full")


def pytest_ignore_collect(collection_path: Path, config: pytest.Config) -> bool | None:
    """Do not import slow test files when only quick tests are asked for."""
    return True if quick.only_quick(config) and quick.is_slow_path(collection_path) else None


@pytest.hookimpl(tryfirst=True)  # before pytest picks by marker
def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Mark the quick tests."""
    for item in items:
        if quick.is_quick(item):
            item.add_marker("quick")


@pytest.fixture(scope="session")
def postgres_url() -> Iterator[str]:
    """An embedded server (or the one of TEST_POSTGRES_URL, to save its start while developing)."""
    given = os.environ.get("TEST_POSTGRES_URL")
    if given:
        yield given
        return
    with tempfile.TemporaryDirectory(prefix="ab-tests-", ignore_cleanup_errors=True) as folder:
        Path(folder).chmod(0o755)
        with EmbeddedPostgres(Path(folder) / "data") as server:
            # What these tests write need not outlive the machine; those that kill servers of
            # their own leave this on.
            _run_sql(server.url, sql.SQL("ALTER SYSTEM SET fsync = off"))
            _run_sql(server.url, sql.SQL("SELECT pg_reload_conf()"))
            yield server.url


@pytest.fixture(scope="session")
def migrated_url(postgres_url: str) -> Iterator[str]:
    """A migrated database of this run, which the tests share one after the other."""
    name = f"tests_{secrets.token_hex(4)}"
    _run_sql(postgres_url, sql.SQL("CREATE DATABASE {}").format(sql.Identifier(name)))
    url = make_url(postgres_url).set(database=name).render_as_string(hide_password=False)
    upgrade(url)
    yield url
    _run_sql(postgres_url, sql.SQL("DROP DATABASE {} WITH (FORCE)").format(sql.Identifier(name)))


@pytest.fixture
def database_url(migrated_url: str) -> Iterator[str]:
    """A database as the migrations leave it: what a test wrote is gone after it."""
    yield migrated_url
    with psycopg.connect(raw_dsn(migrated_url), autocommit=True) as connection:
        # Whatever a test left running loses its connection, and so its locks.
        connection.execute(
            "SELECT pg_terminate_backend(pid) FROM pg_stat_activity"
            " WHERE datname = current_database() AND pid <> pg_backend_pid()"
        )
        with connection.transaction():
            connection.execute("SET LOCAL session_replication_role = replica")
            for table in Base.metadata.tables:
                connection.execute(sql.SQL("DELETE FROM {}").format(sql.Identifier(table)))
            connection.execute(first_schema.DEFAULT_PROJECT)
            connection.execute(default_strategy.CHOOSE_AUTO)


def _run_sql(url: str, statement: sql.SQL | sql.Composed) -> None:
    with psycopg.connect(raw_dsn(url), autocommit=True) as connection:
        connection.execute(statement)


@pytest.fixture
async def sessions(database_url: str) -> AsyncIterator[async_sessionmaker[AsyncSession]]:
    """Sessions on the fresh database."""
    engine = create_engine(database_url, pool_size=20)
    yield session_factory(engine)
    await engine.dispose()


@pytest.fixture
async def session(sessions: async_sessionmaker[AsyncSession]) -> AsyncIterator[AsyncSession]:
    """One open transaction on the fresh database, committed at the end."""
    async with sessions.begin() as opened:
        yield opened


@pytest.fixture
def settings(database_url: str, tmp_path: Path) -> Settings:
    """Settings that name the fresh database and a data folder of the test's own."""
    return Settings.model_validate(
        {"database_url": database_url, "data_dir": tmp_path, "poll_seconds": 0.2}
    )


@pytest.fixture
async def app(
    settings: Settings, sessions: async_sessionmaker[AsyncSession]
) -> AsyncIterator[FastAPI]:
    """The application, connected to the fresh database, with the admin of ``ADMIN_KEY``."""
    async with sessions.begin() as session:
        await ensure_admin(session, ADMIN_KEY)
    application = create_app(settings)
    async with application.router.lifespan_context(application):
        yield application


@pytest.fixture
async def client(app: FastAPI) -> AsyncIterator[httpx.AsyncClient]:
    """A client with the admin's key."""
    async with client_of(app, ADMIN_KEY) as opened:
        yield opened


@pytest.fixture
async def anonymous(app: FastAPI) -> AsyncIterator[httpx.AsyncClient]:
    """A client without a key."""
    async with client_of(app, None) as opened:
        yield opened


@pytest.fixture
async def annotator_client(app: FastAPI, client: httpx.AsyncClient) -> AsyncIterator[ClientFactory]:
    """``await annotator_client("ana", projects=None)``: a client with a new annotator's key."""
    async with AsyncExitStack() as stack:

        async def make(name: str, projects: list[str] | None = None) -> httpx.AsyncClient:
            made = await client.post("/annotators", json={"name": name, "projects": projects})
            assert made.status_code == 201, made.text
            return await stack.enter_async_context(client_of(app, made.json()["key"]))

        yield make
