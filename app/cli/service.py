"""What the commands that run the service, its background parts, or its migrations do."""

import sys

from rich.console import Console
from sqlalchemy.exc import SQLAlchemyError

from app.cli.errors import CommandFailed
from app.log import configure_logging
from app.processes.serve import Addresses
from app.processes.serve import serve as run_service
from app.settings import Settings
from app.storage.embedded.postgres import EmbeddedPostgres
from app.storage.migrate import upgrade


def serve(settings: Settings) -> None:
    """Run the whole service until it is stopped."""
    configure_logging(settings.log_level, settings.log_format)
    try:
        run_service(settings, _announce)
    except SQLAlchemyError as error:
        raise CommandFailed(database_reason(error)) from error


def migrate(settings: Settings) -> None:
    """Bring the database to the newest schema; the embedded one is started for it."""
    configure_logging(settings.log_level, settings.log_format)
    try:
        if settings.database_url is not None:
            upgrade(str(settings.database_url))
        else:
            with EmbeddedPostgres(settings.data_dir) as database:
                upgrade(database.url)
    except SQLAlchemyError as error:
        raise CommandFailed(database_reason(error)) from error
    sys.stdout.write("The database is at the newest schema.\n")


def begin_part(settings: Settings) -> str:
    """Set up logging; the address of the database.

    Raises:
        CommandFailed: none is set.
    """
    configure_logging(settings.log_level, settings.log_format)
    if settings.database_url is None:
        raise CommandFailed(
            "Set DATABASE_URL to the address of a PostgreSQL; only `serve` brings its own."
        )
    return str(settings.database_url)


def database_reason(error: SQLAlchemyError) -> str:
    """What the driver says, in one line, without the statement."""
    cause = getattr(error, "orig", None) or error
    return "The database: " + " ".join(str(cause).split())


def _announce(addresses: Addresses) -> None:
    key = addresses.admin_key or "as set by ADMIN_KEY, or given to `admin` since"
    out = Console(highlight=False, soft_wrap=True)
    out.print("[bold]annotation-budget is running.[/] Ctrl-C stops it.")
    for name, value in (
        ("API", addresses.api),
        ("Docs", f"{addresses.api}/docs"),
        ("Admin key", key),
    ):
        out.print(f"  {name:<10} ", end="")
        out.print(value, markup=False)
    out.file.flush()
