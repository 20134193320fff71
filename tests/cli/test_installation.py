"""The service refuses to run when another package has replaced files of ours."""

import base64
import hashlib
import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

REPOSITORY = Path(__file__).parents[2]
PACKAGES = ("app", "migrations")


def digest(file: Path) -> str:
    found = hashlib.sha256(file.read_bytes()).digest()
    return base64.urlsafe_b64encode(found).decode().rstrip("=")


@pytest.fixture
def copied(tmp_path: Path) -> Path:
    """A folder with both packages, as in a source folder or an editable install."""
    site = tmp_path / "site"
    for name in PACKAGES:
        shutil.copytree(
            REPOSITORY / name, site / name, ignore=shutil.ignore_patterns("__pycache__")
        )
    return site


@pytest.fixture
def site(copied: Path) -> Path:
    """The same folder with the metadata that an installed wheel has."""
    metadata = copied / "annotation_budget-9.9.9.dist-info"
    metadata.mkdir()
    (metadata / "METADATA").write_text(
        "Metadata-Version: 2.4\nName: annotation-budget\nVersion: 9.9.9\n"
    )
    files = [path for name in PACKAGES for path in (copied / name).rglob("*") if path.is_file()]
    lines = [
        f"{file.relative_to(copied).as_posix()},sha256={digest(file)},{file.stat().st_size}\n"
        for file in files
    ]
    # pip records what it compiled, without a digest.
    lines.append("app/__pycache__/__init__.cpython-311.pyc,,\n")
    (metadata / "RECORD").write_text("".join(lines))
    return copied


def run(command: str, *path: Path) -> "subprocess.CompletedProcess[str]":
    """A command of the packages on ``path``, without a database."""
    kept = {name: value for name, value in os.environ.items() if name != "DATABASE_URL"}
    return subprocess.run(
        [sys.executable, "-P", "-m", "app.cli", *command.split()],
        cwd=path[0],
        env=kept | {"PYTHONPATH": os.pathsep.join(map(str, path))},
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
        check=False,
    )


def assert_refused(done: "subprocess.CompletedProcess[str]", file: Path) -> None:
    """Exit status 1, and one line that names the file and the remedy."""
    assert (done.returncode, done.stdout) == (1, "")
    (line,) = done.stderr.splitlines()
    assert line.startswith("Error: ")
    assert str(file) in line
    assert "environment of its own" in line


def test_an_untouched_installation_runs(site: Path) -> None:
    assert "Set DATABASE_URL" in run("embedder", site).stderr
    # What Python compiled by now is no foreign file.
    assert "Set DATABASE_URL" in run("embedder", site).stderr


def test_the_record_of_an_earlier_version_may_be_left_behind(site: Path) -> None:
    # `pip install --target FOLDER --upgrade` leaves it.
    earlier = site / "annotation_budget-0.0.1.dist-info"
    earlier.mkdir()
    (earlier / "RECORD").write_text("app/__init__.py,sha256=x,1\napp/gone.py,sha256=x,1\n")

    assert "Set DATABASE_URL" in run("embedder", site).stderr


@pytest.mark.parametrize("command", ["serve", "api", "embedder", "planner", "migrate"])
def test_every_command_that_runs_the_service_refuses_a_replaced_file(
    site: Path, command: str
) -> None:
    replaced = site / "app" / "settings.py"
    replaced.write_text("DEBUG = True\n")
    assert_refused(run(command, site), replaced)


@pytest.mark.parametrize(
    ("name", "content"),
    [
        ("app/__init__.py", ""),
        ("app/errors.py", "class NotFound(Exception): ...\n"),
        ("app/main.py", "app = None\n"),
        ("migrations/__init__.py", ""),
        ("migrations/env.py", "from alembic import context\n"),
        ("migrations/versions/0001_users.py", 'revision = "0001"\n'),
        ("app/models/user.py", "class User: ...\n"),
    ],
)
def test_a_file_of_another_package_is_refused(site: Path, name: str, content: str) -> None:
    foreign = site / name
    foreign.parent.mkdir(exist_ok=True)
    foreign.write_text(content)
    assert_refused(run("api", site), foreign)


@pytest.mark.parametrize("name", ["migrations/__init__.py", "app/storage/engine.py"])
def test_a_file_that_another_packages_removal_took_along_is_missed(site: Path, name: str) -> None:
    (site / name).unlink()
    assert_refused(run("api", site), site / name)


def test_another_migrations_package_that_comes_first_is_refused(site: Path, tmp_path: Path) -> None:
    other = tmp_path / "other"
    (other / "migrations").mkdir(parents=True)
    (other / "migrations" / "__init__.py").touch()
    assert_refused(run("api", other, site), other / "migrations" / "__init__.py")


@pytest.mark.parametrize("package", PACKAGES)
def test_without_a_record_the_marker_tells_a_replaced_package(copied: Path, package: str) -> None:
    assert "Set DATABASE_URL" in run("embedder", copied).stderr
    (copied / package / "__init__.py").write_text('"""Another package."""\n')
    assert_refused(run("api", copied), copied / package / "__init__.py")
