"""The embedded PostgreSQL server: start it, watch it, stop it."""

import os
import socket
import subprocess
import sys
import time
from pathlib import Path
from typing import Final, Self

import psycopg
from psycopg import sql

from app.errors import DataDirUnusable, EmbeddedPostgresError, ServerFailed
from app.storage.embedded import guard
from app.storage.embedded.binaries import find_binaries
from app.storage.embedded.cluster import (
    DATABASE,
    ROLE,
    SOCKET_PORT,
    ServerAddress,
    end_orphan,
    make_cluster,
)
from app.storage.embedded.folder import DataDirLock, DataFolder
from app.storage.embedded.user import ServerUser, choose_server_user

_LOG_BYTES: Final = 10 * 1024 * 1024
_START_SECONDS: Final = 60.0
"""A start after a crash replays everything since the last checkpoint."""
_STOP_SECONDS: Final = 75.0
"""A little longer than the guard needs to stop a server that resists."""
_POLL_SECONDS = 0.02
_RETRY_SECONDS = 0.5
_MAX_SOCKET_BYTES = 100
"""Longest path of a socket; operating systems allow 103 to 107."""

_TEMPORARY_FAILURES = ("pre-existing shared memory block", "lock file", "could not bind")
"""Postgres logs these while an earlier server is still ending."""


class EmbeddedPostgres:
    """One Postgres server over one data folder; it never outlives this process.

    If the server dies, ``start`` may be called again; the address stays the same.
    """

    def __init__(self, data_dir: Path, lock: DataDirLock | None = None) -> None:
        self._folder = DataFolder.of(data_dir)
        self._lock = lock or DataDirLock(self._folder)
        self._lock_is_ours = lock is None
        self._guard: subprocess.Popen[bytes] | None = None
        self._port: int | None = None
        self._password = ""

    @property
    def url(self) -> str:
        """The SQLAlchemy address of the database, password included.

        Raises:
            EmbeddedPostgresError: the server was never started.
        """
        if not self._password:
            raise EmbeddedPostgresError("The embedded database has not been started.")
        return self._address().url

    @property
    def running(self) -> bool:
        """Whether the server that was started is still alive."""
        return self._guard is not None and self._guard.poll() is None

    def start(self) -> str:
        """Start the server, make the database first if there is none, and return its address.

        Raises:
            DataDirInUse: another process works in the folder.
            DataDirUnusable: the folder's rights or contents do not allow it.
            BinariesMissing: PostgreSQL is not installed or does not run here.
            ServerFailed: Postgres did not come up; the message ends with its log.
        """
        if self.running:
            return self.url
        self._folder.make()
        if not self._lock.held:
            self._lock.acquire()
        try:
            user = choose_server_user(self._folder.cluster)
            self._folder.open_to(user)
            binaries = find_binaries(user, self._folder)
            self._password = self._folder.kept_password()
            make_cluster(self._folder, binaries, user, self._password)
            end_orphan(self._folder.cluster)
            self._launch_with_retries(binaries, user)
            self._ensure_database()
        except BaseException:
            self.stop()
            raise
        return self.url

    def stop(self) -> None:
        """Shut the server down and release the folder; harmless when nothing runs."""
        try:
            self._end_guard()
        finally:
            if self._lock_is_ours:
                self._lock.release()

    def __enter__(self) -> Self:
        self.start()
        return self

    def __exit__(self, *_: object) -> None:
        self.stop()

    def _launch_with_retries(self, binaries: Path, user: ServerUser) -> None:
        """Start the server, and try again while an earlier one is still ending."""
        deadline = time.monotonic() + _START_SECONDS
        while True:
            self._folder.clear_run(user)
            log_bytes = self._log_bytes()
            self._launch(binaries, user)
            if self._wait_until_ready(deadline):
                return
            words = self._log_since(log_bytes)
            if not any(failure in words for failure in _TEMPORARY_FAILURES):
                raise ServerFailed(
                    f"Postgres ended while starting in {self._folder.root}:\n{words}"
                )
            if time.monotonic() > deadline:
                raise ServerFailed(f"Postgres cannot start in {self._folder.root}:\n{words}")
            time.sleep(_RETRY_SECONDS)

    def _launch(self, binaries: Path, user: ServerUser) -> None:
        """Start the guard, which starts the server; a terminal's Ctrl-C reaches neither."""
        self._close_pipe()
        options = ["--log", str(self._folder.log), "--log-bytes", str(_LOG_BYTES)]
        if user.uid is not None:
            options += ["--uid", str(user.uid), "--gid", str(user.gid)]
        settings = self._listening() | {
            "unix_socket_permissions": "0700",
            "logging_collector": "off",
        }
        self._guard = subprocess.Popen(  # noqa: S603 - fixed words and our own paths
            [
                *(sys.executable, "-I", "-S", guard.__file__, *options, "--"),
                *(str(binaries / "postgres"), "-D", str(self._folder.cluster)),
                *(word for name, value in settings.items() for word in ("-c", f"{name}={value}")),
            ],
            cwd="/",
            stdin=subprocess.PIPE,
            stdout=subprocess.DEVNULL,
            start_new_session=True,
        )

    def _listening(self) -> dict[str, str]:
        """The settings for a socket in our folder, or for TCP where its path is too long.

        libpq separates hosts by commas, so a path with a comma needs TCP too.
        """
        socket_path = os.fsencode(self._folder.run / f".s.PGSQL.{SOCKET_PORT}")
        if self._port is None and (len(socket_path) > _MAX_SOCKET_BYTES or b"," in socket_path):
            self._port = _free_port()
        if self._port is None:
            folders = '"' + str(self._folder.run).replace('"', '""') + '"'
            return {
                "listen_addresses": "",
                "port": str(SOCKET_PORT),
                "unix_socket_directories": folders,
            }
        return {
            "listen_addresses": "127.0.0.1",
            "port": str(self._port),
            "unix_socket_directories": "",
        }

    def _wait_until_ready(self, deadline: float) -> bool:
        """Wait until the server answers; False if it died first."""
        while self.running:
            try:
                self._connect("postgres").close()
            except psycopg.OperationalError as error:
                if "password authentication failed" in str(error):
                    raise DataDirUnusable(
                        f"{self._folder.password} does not hold the database's password."
                    ) from error
                if time.monotonic() > deadline:
                    raise ServerFailed(
                        f"Postgres did not answer in {_START_SECONDS:.0f} s: {error}"
                    ) from error
                time.sleep(_POLL_SECONDS)
            else:
                return True
        return False

    def _ensure_database(self) -> None:
        """Make the database, unless it exists."""
        try:
            self._connect(DATABASE).close()
        except psycopg.OperationalError as error:
            if "does not exist" not in str(error):
                raise
            with self._connect("postgres") as connection:
                connection.autocommit = True
                connection.execute(sql.SQL("CREATE DATABASE {}").format(sql.Identifier(DATABASE)))

    def _connect(self, database: str) -> psycopg.Connection[tuple[object, ...]]:
        return psycopg.connect(
            host=self._address().host,
            port=self._port or SOCKET_PORT,
            user=ROLE,
            password=self._password,
            dbname=database,
            connect_timeout=5,
        )

    def _address(self) -> ServerAddress:
        return ServerAddress(self._folder, self._port, self._password)

    def _log_bytes(self) -> int:
        return self._folder.log.stat().st_size if self._folder.log.exists() else 0

    def _log_since(self, size: int) -> str:
        """What the server logged since the log was ``size`` bytes long, at most its end."""
        if not self._folder.log.exists():
            return ""
        with self._folder.log.open("rb") as log:
            log.seek(size if size <= self._log_bytes() else 0)
            return log.read()[-4000:].decode(errors="replace").strip()

    def _end_guard(self) -> None:
        """Close the pipe to the guard, which then stops the server, and wait for both to end."""
        if self._guard is None:
            return
        self._close_pipe()
        try:
            self._guard.wait(_STOP_SECONDS)
        except subprocess.TimeoutExpired:
            self._guard.kill()
            self._guard.wait()
        self._guard = None
        end_orphan(self._folder.cluster)

    def _close_pipe(self) -> None:
        if self._guard is not None:
            assert self._guard.stdin is not None
            self._guard.stdin.close()


def _free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port: int = probe.getsockname()[1]
        return port
