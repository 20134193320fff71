"""The files of the embedded database, and the server that runs over them, if any."""

import shutil
import subprocess
import time
from dataclasses import dataclass
from pathlib import Path
from typing import Final

import psutil
from sqlalchemy import URL

from app.errors import DataDirUnusable, ServerFailed
from app.storage.embedded.binaries import POSTGRES_MAJOR
from app.storage.embedded.folder import DataFolder, sync_folder, write_private
from app.storage.embedded.guard import FAST_SHUTDOWN
from app.storage.embedded.user import ServerUser

DATABASE: Final = "annotation_budget"
ROLE: Final = "annotation_budget"
SOCKET_PORT: Final = 5432
"""Part of the socket's file name."""
_ORPHAN_SECONDS = 60.0
"""How long a server that lost its owner may take for its last checkpoint."""
_POLL_SECONDS = 0.02
_PID_FILE = "postmaster.pid"
_PID_FILE_PORT, _PID_FILE_SOCKET_FOLDER, _PID_FILE_STATUS = 3, 4, 7
"""Lines of ``postmaster.pid``, in which Postgres says where it listens."""

_TUNING = {
    "shared_buffers": "256MB",
    "max_connections": "200",
    "max_wal_size": "1GB",
    "random_page_cost": "1.1",
    "jit": "off",
    "timezone": "UTC",
    "log_timezone": "UTC",
    "log_checkpoints": "off",
    # Errors quote texts of prompts and responses, which would stay in the log after their erasure.
    # The client gets the whole error all the same.
    "log_min_messages": "log",
    "log_min_error_statement": "panic",
    "log_error_verbosity": "terse",
}
"""Written to postgresql.conf when the cluster is made; there the operator may change them."""


@dataclass(frozen=True, slots=True)
class ServerAddress:
    """Where the server listens: a socket in the folder, or a port of 127.0.0.1."""

    folder: DataFolder
    port: int | None
    """None for the socket."""
    password: str

    @property
    def host(self) -> str:
        """For libpq, which takes a path for the folder of a socket."""
        return "127.0.0.1" if self.port else str(self.folder.run)

    @property
    def url(self) -> str:
        """For SQLAlchemy, which takes the folder of a socket from the query, beside a host."""
        url = URL.create(
            "postgresql+psycopg",
            username=ROLE,
            password=self.password,
            host="127.0.0.1" if self.port else "localhost",
            port=self.port or SOCKET_PORT,
            database=DATABASE,
            query={} if self.port else {"host": str(self.folder.run)},
        )
        return url.render_as_string(hide_password=False)


def make_cluster(folder: DataFolder, binaries: Path, user: ServerUser, password: str) -> None:
    """Make the database's files, unless they exist; they appear in their place when complete.

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
            f"--username={ROLE}",
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


def find_running(folder: DataFolder) -> ServerAddress | None:
    """The server that another process runs over the folder; None if none takes connections."""
    try:
        lines = (folder.cluster / _PID_FILE).read_text().splitlines()
    except FileNotFoundError:
        return None
    if len(lines) <= _PID_FILE_STATUS or lines[_PID_FILE_STATUS].strip() != "ready":
        return None
    listens_on_socket = bool(lines[_PID_FILE_SOCKET_FOLDER].strip())
    port = None if listens_on_socket else int(lines[_PID_FILE_PORT])
    return ServerAddress(folder, port, folder.kept_password())


def end_orphan(cluster: Path) -> None:
    """Stop a server that outlived its owner, and remove a pid file that names another process.

    Only the holder of the folder's lock may call this: a server that still runs has no owner then.

    Raises:
        ServerFailed: it does not stop.
    """
    pid_file = cluster / _PID_FILE
    if not pid_file.exists():
        return
    pid = pid_file.read_text().partition("\n")[0].strip()
    orphan = _server(int(pid), cluster) if pid.isdecimal() else None
    if orphan is None:
        pid_file.unlink(missing_ok=True)
        return
    deadline = time.monotonic() + _ORPHAN_SECONDS
    orphan.send_signal(FAST_SHUTDOWN)
    while _server(orphan.pid, cluster) is not None:
        if time.monotonic() > deadline:
            raise ServerFailed(f"An earlier Postgres (process {pid}) does not stop in {cluster}.")
        time.sleep(_POLL_SECONDS)


def _server(pid: int, cluster: Path) -> psutil.Process | None:
    """The process ``pid`` if it lives (is no zombie) and is a server of this cluster."""
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
