"""Run the whole service, its migrations, or prepare one of its background processes."""

import sys
from typing import Final

from rich.console import Console

from app.cli.errors import database_errors
from app.errors import CommandFailed
from app.log import configure_logging
from app.processes.serve import serve
from app.settings import Settings
from app.storage.embedded.postgres import EmbeddedPostgres
from app.storage.migrate import upgrade

_KEY_UNKNOWN: Final = "as set by ADMIN_KEY, or given to `admin` since"


def run_service(settings: Settings) -> None:
    """Run the whole service until it is stopped."""
    configure_logging(settings.log_level, settings.log_format)
    with database_errors():
        serve(settings, _announce)


def run_migrations(settings: Settings) -> None:
    """Bring the database to the newest schema; start the embedded one for it."""
    configure_logging(settings.log_level, settings.log_format)
    with database_errors():
        if settings.database_url is not None:
            upgrade(str(settings.database_url))
        else:
            with EmbeddedPostgres(settings.data_dir) as database:
                upgrade(database.url)
    sys.stdout.write("The database is at the newest schema.\n")


def begin_part(settings: Settings) -> str:
    """Set up logging, and return the address of the database.

    Raises:
        CommandFailed: none is set.
    """
    configure_logging(settings.log_level, settings.log_format)
    if settings.database_url is None:
        raise CommandFailed(
            "Set DATABASE_URL to the address of a PostgreSQL; only `serve` brings its own."
        )
    return str(settings.database_url)


def _announce(address: str, admin_key: str | None) -> None:
    """Tell where the service is. The key goes to a person's terminal, and into no log."""
    sign_in = f"{address}/sign-in"
    if admin_key is not None and sys.stdout.isatty():
        # The part behind the # stays in the browser.
        sign_in += f"#key={admin_key}"
    out = Console(highlight=False, soft_wrap=True)
    out.print("[bold]annotation-budget is running.[/] Ctrl-C stops it.")
    for name, value in (
        ("Sign in", sign_in),
        ("API", address),
        ("Docs", f"{address}/docs"),
        ("Admin key", "`annotation-budget key` prints it" if admin_key else _KEY_UNKNOWN),
    ):
        out.print(f"  {name:<10} ", end="")
        out.print(value, markup=False)
    out.file.flush()
