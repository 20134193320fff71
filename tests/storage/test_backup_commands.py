"""`backup`, `restore` and `ledger verify`, over a database that runs and one that does not."""

import os
import subprocess
import sys
from pathlib import Path

import pytest

from app.storage.backup import check_file
from app.storage.embedded.postgres import EmbeddedPostgres
from app.storage.migrate import upgrade
from tests.storage.conftest import connection

SETTINGS = ("DATA_DIR", "DATABASE_URL", "REDIS_URL", "ADMIN_KEY", "HOST", "PORT")


def run(*arguments: str, **settings: str) -> "subprocess.CompletedProcess[str]":
    """The command line in a process of its own, over no database but the one it is given."""
    kept = {name: value for name, value in os.environ.items() if name not in SETTINGS}
    return subprocess.run(
        [sys.executable, "-m", "app.cli", *arguments],
        env=kept | {"NO_COLOR": "1", "COLUMNS": "200"} | settings,
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
        check=False,
    )


def test_the_commands_reach_a_running_database_and_leave_it_alone(
    server: EmbeddedPostgres, target: str, folder: Path, tmp_path: Path
) -> None:
    upgrade(target)
    where = ["--data-dir", str(folder / "data")]
    file = str(tmp_path / "backup")
    done = run("backup", *where, file)
    assert (done.returncode, done.stderr) == (0, "")
    assert done.stdout == f"{file}: {(tmp_path / 'backup').stat().st_size:,} bytes.\n"
    verified = run("ledger", "verify", *where)
    assert verified.returncode == 0, verified.stderr
    assert "ok" in verified.stdout
    for force in ([], ["--force"]):
        refused = run("restore", *where, *force, file)
        assert refused.returncode == 1
        assert f"is in use by process {os.getpid()}" in refused.stderr
    with connection(server.url) as opened:
        opened.execute("UPDATE projects SET spent = 5")
    verified = run("ledger", "verify", *where)
    assert verified.returncode == 1
    assert "1 differ" in verified.stdout
    assert "spent, by the ledger's entries" in verified.stdout


@pytest.mark.e2e
def test_a_backup_is_restored_into_a_fresh_folder_and_taken_from_a_stopped_one(
    backup: Path, folder: Path, tmp_path: Path
) -> None:
    where = ["--data-dir", str(folder / "fresh")]
    nothing = run("backup", *where, str(tmp_path / "again"))
    assert nothing.returncode == 1
    assert "There is no database in" in nothing.stderr
    assert not (folder / "fresh").exists()

    index = folder / "fresh" / "index"
    index.mkdir(parents=True)
    (index / "1.faiss").write_bytes(b"of another database")
    done = run("restore", *where, str(backup))
    assert (done.returncode, done.stderr) == (0, "")
    assert not index.exists()
    again = run("backup", *where, str(tmp_path / "again"))
    assert (again.returncode, again.stderr) == (0, "")
    check_file(tmp_path / "again")
