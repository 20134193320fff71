"""Reach the database from a command, whether or not the service runs."""

import contextlib
from collections.abc import Iterator

from app.errors import DataDirInUse, DataDirUnusable
from app.settings import Settings
from app.storage.embedded.cluster import find_running
from app.storage.embedded.folder import DataFolder
from app.storage.embedded.postgres import EmbeddedPostgres


@contextlib.contextmanager
def reach_database(settings: Settings) -> Iterator[str]:
    """The address of ``DATABASE_URL``, or of the embedded database in the data folder.

    If the service runs, its server is used; otherwise one is started and stopped again.

    Raises:
        DataDirUnusable: the folder holds no database.
        DataDirInUse: another process works in the folder, and its database takes no connections.
        EmbeddedPostgresError: the embedded database does not start.
    """
    if settings.database_url is not None:
        yield str(settings.database_url)
        return
    folder = DataFolder.of(settings.data_dir)
    if not folder.cluster.exists():
        raise DataDirUnusable(
            f"There is no database in {folder.root}: name another --data-dir, or set DATABASE_URL."
        )
    with contextlib.ExitStack() as stack:
        yield _running_or_started(folder, stack)


def _running_or_started(folder: DataFolder, stack: contextlib.ExitStack) -> str:
    try:
        return stack.enter_context(EmbeddedPostgres(folder.root)).url
    except DataDirInUse:
        running = find_running(folder)
        if running is None:
            raise
        return running.url
