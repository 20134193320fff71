"""A backup: the whole database in one file, in pg_dump's own custom format."""

import os
from pathlib import Path

from app.errors import CommandFailed
from app.storage.embedded.folder import sync_folder
from app.storage.programs import Programs


class BackupUnwritable(CommandFailed):
    """The file of the backup cannot be written."""


def back_up(url: str, file: Path) -> int:
    """Write a backup of the database as it is at one instant; gives its size in bytes.

    The file appears complete, or not at all. Only its owner may read it: it holds all texts and
    the hashes of all keys. The service may keep running.

    Raises:
        BackupUnwritable: the file cannot be written.
        ProgramFailed: pg_dump failed.
        BinariesMissing: there is no pg_dump.
    """
    programs = Programs.find()
    partial = file.with_name(f".{file.name}.{os.getpid()}.partial")
    try:
        os.close(os.open(partial, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600))
        try:
            # pg_dump flushes the file to disk itself.
            programs.run("pg_dump", "--format=custom", f"--file={partial}", url=url)
            size = partial.stat().st_size
            partial.replace(file)
        finally:
            partial.unlink(missing_ok=True)
        sync_folder(file.absolute().parent)
    except OSError as error:
        raise BackupUnwritable(f"{file} cannot be written: {error.strerror}.") from error
    return size
