"""The data folder: what lies where in it, and who may enter.

``postgres/`` is the cluster, ``run/`` its socket, ``binaries/`` a copy of PostgreSQL where one is
needed, ``index/`` the FAISS files; beside them ``postgres.password``, ``postgres.log``,
``admin.key`` and ``lock``.
"""

import os
import secrets
import shutil
from dataclasses import dataclass
from pathlib import Path
from typing import Self

from app.storage.embedded.errors import DataDirUnusable
from app.storage.embedded.user import ServerUser


@dataclass(frozen=True, slots=True)
class DataFolder:
    """The paths inside a data folder."""

    root: Path

    @classmethod
    def of(cls, data_dir: Path) -> Self:
        """The folder that a setting or an option names."""
        return cls(data_dir.expanduser().absolute())

    @property
    def cluster(self) -> Path:
        """Postgres's own files."""
        return self.root / "postgres"

    @property
    def partial_cluster(self) -> Path:
        """A cluster that is being made."""
        return self.root / "postgres.partial"

    @property
    def run(self) -> Path:
        """Where the socket lives."""
        return self.root / "run"

    @property
    def binaries(self) -> Path:
        """A copy of PostgreSQL."""
        return self.root / "binaries"

    @property
    def index(self) -> Path:
        """The files of the FAISS index."""
        return self.root / "index"

    @property
    def log(self) -> Path:
        """What Postgres said."""
        return self.root / "postgres.log"

    @property
    def password(self) -> Path:
        """The database's password."""
        return self.root / "postgres.password"

    @property
    def admin_key(self) -> Path:
        """The key of the annotator `admin`."""
        return self.root / "admin.key"

    @property
    def lock(self) -> Path:
        """The file whose lock says that somebody works here."""
        return self.root / "lock"

    def make(self) -> None:
        """Make the folder, closed to everybody else, unless it is there.

        Raises:
            DataDirUnusable: it cannot be made, or is no folder.
        """
        try:
            if not self.root.exists():
                self.root.mkdir(parents=True, mode=0o700)
        except OSError as error:
            raise DataDirUnusable(f"{self.root} cannot be made: {error}.") from error
        if not self.root.is_dir():
            raise DataDirUnusable(f"{self.root} is not a folder.")

    def open_to(self, user: ServerUser) -> None:
        """Let Postgres's user pass through the folder, if the folder is ours to open.

        One that holds other people's things keeps its rights, and so do all its parents.

        Raises:
            DataDirUnusable: that user cannot reach the folder.
        """
        if user.gid is not None and all(path in self._ours() for path in self.root.iterdir()):
            os.chown(self.root, -1, user.gid)
            self.root.chmod(0o710)
        if not user.can_enter(self.root):
            raise DataDirUnusable(
                f"Postgres runs as user {user.name} here, who cannot reach {self.root}: "
                "choose a --data-dir whose parent folders that user may enter (as "
                "/var/lib/annotation-budget), or start the service as another user than root."
            )

    def clear_run(self, user: ServerUser) -> None:
        """An empty folder for the socket, that Postgres's user alone may enter."""
        shutil.rmtree(self.run, ignore_errors=True)
        self.run.mkdir(mode=0o700)
        user.own(self.run)

    def kept_password(self) -> str:
        """The database's password: the one kept, or a fresh one while there is no cluster.

        Raises:
            DataDirUnusable: there is a cluster, and its password is lost.
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

    def _ours(self) -> frozenset[Path]:
        return frozenset(
            {
                *(self.cluster, self.partial_cluster, self.run, self.binaries, self.index),
                *(self.log, self.password, self.admin_key, self.lock),
            }
        )


def write_private(path: Path, content: str, user: ServerUser | None = None) -> None:
    """Write a line to a file that its owner (``user``, or us) alone may read.

    It appears whole and on disk, or not at all.
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
    """Have the names in ``folder`` on disk."""
    descriptor = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
