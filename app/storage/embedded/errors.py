"""What can go wrong with the embedded database; every message is for the person who starts it.

EmbeddedPostgresError
├── DataDirInUse
├── DataDirUnusable
├── BinariesMissing
└── ServerFailed
"""

from pathlib import Path

from app.errors import CommandFailed


class EmbeddedPostgresError(CommandFailed):
    """The embedded database cannot run."""


class DataDirInUse(EmbeddedPostgresError):
    """Another process works in this data folder."""

    def __init__(self, data_dir: Path, pid: int | None) -> None:
        self.data_dir = data_dir
        self.pid = pid
        holder = "another process" if pid is None else f"process {pid}"
        super().__init__(
            f"{data_dir} is in use by {holder}: stop it first, or choose another --data-dir."
        )


class DataDirUnusable(EmbeddedPostgresError):
    """The data folder cannot be used: rights, a half of it missing, another Postgres version."""


class BinariesMissing(EmbeddedPostgresError):
    """The PostgreSQL binaries are not installed, or do not run here."""


class ServerFailed(EmbeddedPostgresError):
    """Postgres ended while it started, or took too long; the message ends with its log."""
