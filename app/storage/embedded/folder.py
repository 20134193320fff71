"""The data folder: what lies where in it, who may enter, and the lock of who works in it.

``postgres/`` holds the database's files, ``run/`` its socket, ``binaries/`` a copy of PostgreSQL
where one is needed, and ``index/`` the FAISS files; beside them lie ``postgres.password``,
``postgres.log``, ``admin.key`` (the key of the annotator ``admin``) and ``lock``.
"""

import fcntl
import os
import secrets
import shutil
from pathlib import Path
from typing import Self

from app.errors import DataDirInUse, DataDirUnusable
from app.storage.embedded.user import ServerUser


class DataFolder:
    """The paths inside a data folder."""

    def __init__(self, root: Path) -> None:
        self.root = root
        self.cluster = root / "postgres"
        self.partial_cluster = root / "postgres.partial"  # while it is being made
        self.run = root / "run"
        self.binaries = root / "binaries"
        self.index = root / "index"
        self.log = root / "postgres.log"
        self.password = root / "postgres.password"
        self.admin_key = root / "admin.key"
        self.lock = root / "lock"

    @classmethod
    def of(cls, data_dir: Path) -> Self:
        """The folder of a setting or an option."""
        return cls(data_dir.expanduser().absolute())

    def make(self) -> None:
        """Make the folder, closed to everybody else, unless it exists.

        Raises:
            DataDirUnusable: it cannot be made, or is not a folder.
        """
        try:
            if not self.root.exists():
                self.root.mkdir(parents=True, mode=0o700)
        except OSError as error:
            raise DataDirUnusable(f"{self.root} cannot be made: {error}.") from error
        if not self.root.is_dir():
            raise DataDirUnusable(f"{self.root} is not a folder.")

    def open_to(self, user: ServerUser) -> None:
        """Let Postgres's user pass through the folder, if it holds nothing but our own files.

        A folder with other files in it keeps its permissions, and so do all its parents.

        Raises:
            DataDirUnusable: that user cannot reach the folder.
        """
        if user.gid is not None and set(self.root.iterdir()) <= set(vars(self).values()):
            os.chown(self.root, -1, user.gid)
            self.root.chmod(0o710)
        if not user.can_enter(self.root):
            raise DataDirUnusable(
                f"Postgres runs as user {user.name} here, who cannot reach {self.root}: "
                "choose a --data-dir whose parent folders that user may enter (as "
                "/var/lib/annotation-budget), or start the service as another user than root."
            )

    def clear_run(self, user: ServerUser) -> None:
        """Make an empty folder for the socket that only Postgres's user may enter."""
        shutil.rmtree(self.run, ignore_errors=True)
        self.run.mkdir(mode=0o700)
        user.own(self.run)

    def kept_password(self) -> str:
        """The database's password; a new one is made and stored while there is no database.

        Raises:
            DataDirUnusable: there is a database, and its password is lost.
        """
        if self.password.exists():
            return self.password.read_text().strip()
        if self.cluster.exists():
            raise DataDirUnusable(
                f"{self.password} is missing, and the database in {self.cluster} opens with it "
                "alone: put it back."
            )
        password = secrets.token_urlsafe(32)
        write_private(self.password, password)
        return password


class DataDirLock:
    """Allows one process at a time in a data folder.

    It is an advisory lock on ``DIR/lock``, so the kernel frees it however its holder dies. The file
    holds the process id of the holder, for the message to whoever comes second.
    """

    def __init__(self, folder: DataFolder) -> None:
        self._folder = folder
        self._descriptor: int | None = None

    @property
    def held(self) -> bool:
        """Whether this object holds the lock."""
        return self._descriptor is not None

    def acquire(self) -> None:
        """Take the lock.

        Raises:
            DataDirInUse: somebody else holds it.
            DataDirUnusable: the folder cannot be written.
        """
        try:
            descriptor = os.open(self._folder.lock, os.O_RDWR | os.O_CREAT, 0o600)
        except OSError as error:
            raise DataDirUnusable(f"{self._folder.root} cannot be used: {error}.") from error
        try:
            fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            holder = os.pread(descriptor, 20, 0).decode(errors="replace").strip()
            os.close(descriptor)
            pid = int(holder) if holder.isdecimal() else None
            raise DataDirInUse(self._folder.root, pid) from None
        os.ftruncate(descriptor, 0)
        os.pwrite(descriptor, f"{os.getpid()}\n".encode(), 0)
        self._descriptor = descriptor

    def release(self) -> None:
        """Give the lock back; harmless when it is not held."""
        if self._descriptor is not None:
            os.close(self._descriptor)
            self._descriptor = None


def write_private(path: Path, content: str, user: ServerUser | None = None) -> None:
    """Write a line to a file that only its owner (``user``, or us) may read.

    It appears whole and synced to disk, or not at all.
    """
    partial = path.with_name(f".{path.name}.{os.getpid()}.partial")
    partial.unlink(missing_ok=True)
    with os.fdopen(os.open(partial, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600), "w") as file:
        file.write(content + "\n")
        file.flush()
        os.fsync(file.fileno())
        if user is not None and user.uid is not None and user.gid is not None:
            os.fchown(file.fileno(), user.uid, user.gid)
    partial.replace(path)
    sync_folder(path.parent)


def sync_folder(folder: Path) -> None:
    """Sync the directory entries of ``folder`` to disk."""
    descriptor = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
