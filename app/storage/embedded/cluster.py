"""The embedded database's files: made once, and freed of what a crash left in them."""

import shutil
import subprocess
import time
from pathlib import Path

import psutil

from app.storage.embedded.binaries import POSTGRES_MAJOR
from app.storage.embedded.errors import DataDirUnusable, ServerFailed
from app.storage.embedded.folder import DataFolder, sync_folder, write_private
from app.storage.embedded.guard import FAST_SHUTDOWN
from app.storage.embedded.user import ServerUser

ORPHAN_SECONDS = 60.0
"""How long a server that lost its owner may take for its last checkpoint."""
_POLL_SECONDS = 0.02

_TUNING = {
    "shared_buffers": "256MB",
    "max_connections": "200",
    "max_wal_size": "1GB",
    "random_page_cost": "1.1",
    "jit": "off",
    "timezone": "UTC",
    "log_timezone": "UTC",
    "log_checkpoints": "off",
    # An error quotes texts of prompts and responses, and the log would outlive their erasure.
    # The client is told it all the same.
    "log_min_messages": "log",
    "log_min_error_statement": "panic",
    "log_error_verbosity": "terse",
}
"""Written to postgresql.conf when the cluster is made; there the operator may change them."""


def make_cluster(
    folder: DataFolder, binaries: Path, user: ServerUser, *, role: str, password: str
) -> None:
    """Make the database files beside their place, then move them there whole; once.

    Raises:
        DataDirUnusable: another version of PostgreSQL made the files that are there.
        ServerFailed: ``initdb`` failed.
    """
    if folder.cluster.exists():
        _check_version(folder.cluster)
        return
    shutil.rmtree(folder.partial_cluster, ignore_errors=True)
    folder.partial_cluster.mkdir(mode=0o700)
    user.own(folder.partial_cluster)
    folder.clear_run(user)
    password_file = folder.run / "password"
    write_private(password_file, password, user)
    made = subprocess.run(  # noqa: S603 - fixed words and our own paths
        [
            binaries / "initdb",
            f"--pgdata={folder.partial_cluster}",
            f"--username={role}",
            f"--pwfile={password_file}",
            "--auth=scram-sha-256",
            "--encoding=UTF8",
            "--locale=C",
            "--locale-provider=builtin",
            "--builtin-locale=C.UTF-8",
            *(f"--set={name}={value}" for name, value in _TUNING.items()),
        ],
        cwd="/",
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
        check=False,
        **user.privileges,
    )
    password_file.unlink()
    if made.returncode != 0:
        raise ServerFailed(f"initdb failed in {folder.root}: {made.stderr.strip()}")
    folder.partial_cluster.rename(folder.cluster)
    sync_folder(folder.root)


def end_orphan(cluster: Path) -> None:
    """Stop a server that outlived its owner, and forget a pid that is somebody else's by now.

    Only for the holder of the folder's lock: whatever runs in the cluster then has no owner.

    Raises:
        ServerFailed: it does not stop.
    """
    pid_file = cluster / "postmaster.pid"
    if not pid_file.exists():
        return
    pid = pid_file.read_text().partition("\n")[0].strip()
    orphan = _server(int(pid), cluster) if pid.isdecimal() else None
    if orphan is None:
        pid_file.unlink(missing_ok=True)
        return
    deadline = time.monotonic() + ORPHAN_SECONDS
    orphan.send_signal(FAST_SHUTDOWN)
    while _server(orphan.pid, cluster) is not None:
        if time.monotonic() > deadline:
            raise ServerFailed(f"An earlier Postgres (process {pid}) does not stop in {cluster}.")
        time.sleep(_POLL_SECONDS)


def _server(pid: int, cluster: Path) -> psutil.Process | None:
    """The living process ``pid`` if it is a server of this cluster; a zombie is none."""
    try:
        process = psutil.Process(pid)
        alive = process.status() != psutil.STATUS_ZOMBIE and str(cluster) in process.cmdline()
    except psutil.Error:
        return None
    return process if alive else None


def _check_version(cluster: Path) -> None:
    marker = cluster / "PG_VERSION"
    version = marker.read_text().strip() if marker.exists() else "none"
    if version != str(POSTGRES_MAJOR):
        raise DataDirUnusable(
            f"{cluster} holds PostgreSQL {version}, and this release runs {POSTGRES_MAJOR}: "
            "dump and restore it, or choose another --data-dir."
        )
