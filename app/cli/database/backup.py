"""Back the database up, and restore it."""

import contextlib
import shutil
from collections.abc import Iterator
from pathlib import Path

from rich.console import Console

from app.cli.errors import database_errors
from app.errors import CommandFailed
from app.log import configure_logging
from app.settings import Settings
from app.storage.backup import back_up, check_file, check_target, load
from app.storage.embedded.folder import DataDirLock, DataFolder
from app.storage.embedded.postgres import EmbeddedPostgres
from app.storage.reach import reach_database


def write_backup(settings: Settings, file: Path) -> None:
    """Write a backup of the database, and print its size."""
    configure_logging("WARNING", settings.log_format)
    with reach_database(settings) as url, _busy("Backing up"):
        size = back_up(url, file)
    print(f"{file}: {size:,} bytes.")


def restore_backup(settings: Settings, file: Path, *, force: bool) -> None:
    """Restore a backup, and delete the index files: they are a cache of the database before."""
    configure_logging("WARNING", settings.log_format)
    check_file(file)
    with _database_to_ourselves(settings) as url, _busy("Restoring"), database_errors():
        check_target(url, force=force)
        _delete_index(DataFolder.of(settings.data_dir))
        load(url, file)
    print(f"{file} is restored.")


@contextlib.contextmanager
def _database_to_ourselves(settings: Settings) -> Iterator[str]:
    """The database's address, while nobody else works in the data folder."""
    folder = DataFolder.of(settings.data_dir)
    folder.make()
    lock = DataDirLock(folder)
    with contextlib.ExitStack() as stack:
        lock.acquire()
        stack.callback(lock.release)
        yield (
            str(settings.database_url)
            if settings.database_url is not None
            else stack.enter_context(EmbeddedPostgres(folder.root, lock)).url
        )


def _delete_index(folder: DataFolder) -> None:
    try:
        if folder.index.exists():
            shutil.rmtree(folder.index)
    except OSError as error:
        raise CommandFailed(f"{folder.index} cannot be deleted: {error.strerror}.") from error


def _busy(what: str) -> contextlib.AbstractContextManager[object]:
    """A spinner on a terminal."""
    return Console(stderr=True).status(f"{what} ...")
