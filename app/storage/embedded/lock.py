"""One process at a time in a data folder."""

import fcntl
import os

from app.storage.embedded.errors import DataDirInUse, DataDirUnusable
from app.storage.embedded.folder import DataFolder


class DataDirLock:
    """An advisory lock on ``DIR/lock``, freed by the kernel when its holder dies in whatever way.

    The file keeps the holder's process id, to be told to whoever comes second.
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
