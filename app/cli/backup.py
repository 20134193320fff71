"""What the commands `backup` and `restore` do."""

import contextlib
import shutil
from collections.abc import Iterator
from pathlib import Path

import psycopg
from rich.console import Console

from app.cli.errors import CommandFailed
from app.log import configure_logging
from app.settings import Settings
from app.storage.backup import back_up
from app.storage.embedded.folder import DataFolder
from app.storage.embedded.lock import DataDirLock
from app.storage.embedded.postgres import EmbeddedPostgres
from app.storage.reach import reach_database
from app.storage.restore import check_file, check_target, load


def backup(settings: Settings, file: Path) -> None:
    """Write a backup of the database, and say how large it is."""
    configure_logging("WARNING", settings.log_format)
    with reach_database(settings) as url, _busy("Backing up"):
        size = back_up(url, file)
    print(f"{file}: {size:,} bytes.")


def restore(settings: Settings, file: Path, *, force: bool) -> None:
    """Put a backup back into the database, and forget the index, which is a cache of another."""
    configure_logging("WARNING", settings.log_format)
    check_file(file)
    with _alone(settings) as url, _busy("Restoring"):
        try:
            check_target(url, force=force)
            _forget_index(DataFolder.of(settings.data_dir))
            load(url, file)
        except psycopg.Error as error:
            raise CommandFailed("The database: " + " ".join(str(error).split())) from error
    print(f"{file} is restored.")


@contextlib.contextmanager
def _alone(settings: Settings) -> Iterator[str]:
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


def _forget_index(folder: DataFolder) -> None:
    try:
        if folder.index.exists():
            shutil.rmtree(folder.index)
    except OSError as error:
        raise CommandFailed(f"{folder.index} cannot be deleted: {error.strerror}.") from error


def _busy(what: str) -> contextlib.AbstractContextManager[object]:
    """A sign of life on a terminal."""
    return Console(stderr=True).status(f"{what} ...")
