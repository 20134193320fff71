"""A cluster of its own, whose databases are those of a release, before and after `migrate`."""

import shutil
import tempfile
from collections.abc import Iterator
from pathlib import Path

import pytest
from sqlalchemy import make_url

from app.storage.embedded.postgres import EmbeddedPostgres
from app.storage.migrate import upgrade
from tests.upgrade.released import (
    RELEASES,
    Rows,
    let_time_stand_still,
    new_database,
    put_in_place,
    rows,
)


@pytest.fixture(scope="module")
def cluster() -> Iterator[str]:
    """A cluster that has given out few transaction numbers yet."""
    folder = Path(tempfile.mkdtemp(prefix="ab-upgrade-"))
    folder.chmod(0o755)
    with EmbeddedPostgres(folder / "data") as server:
        yield server.url
    shutil.rmtree(folder)


@pytest.fixture(scope="module", params=RELEASES)
def release(request: pytest.FixtureRequest) -> str:
    """A released version."""
    version: str = request.param
    return version


@pytest.fixture(scope="module")
def old_url(cluster: str, release: str, tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """The release's database. Nothing may change it or stay connected to it."""
    with new_database(cluster) as url:
        put_in_place(release, url, tmp_path_factory.mktemp("upgrade"))
        let_time_stand_still(url)
        yield url


@pytest.fixture(scope="module")
def old_rows(old_url: str) -> Rows:
    """What is in the release's database."""
    return rows(old_url)


@pytest.fixture
def upgraded_url(cluster: str, old_url: str) -> Iterator[str]:
    """A copy of the release's database at the newest schema."""
    with new_database(cluster, template=make_url(old_url).database) as url:
        upgrade(url)
        yield url
