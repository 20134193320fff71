"""`ledger verify`, `backup` and `restore`."""
# ruff: noqa: PLC0415 - a command imports what it needs when it runs

from pathlib import Path
from typing import Annotated

import typer

from app.cli.options import DataDir, examples

commands = typer.Typer(rich_markup_mode="rich")
ledger = typer.Typer(help="Look at the ledger.", no_args_is_help=True, rich_markup_mode="rich")
commands.add_typer(ledger, name="ledger")

File = Annotated[Path, typer.Argument(metavar="FILE", help="The file of the backup.")]


@ledger.command(
    epilog=examples(
        "annotation-budget ledger verify",
        "DATABASE_URL=postgresql://budget:secret@db/budget annotation-budget ledger verify",
    )
)
def verify(data_dir: DataDir = None) -> None:
    """Check that every stored count agrees with what it counts; the service may run meanwhile.

    Prints every project's ledger, and what differs; the exit status is 1 if anything does.
    """
    from app.cli.database.ledger import verify_ledger
    from app.cli.settings import read_settings

    if verify_ledger(read_settings(data_dir=data_dir)):
        raise typer.Exit(1)


@commands.command(
    epilog=examples(
        "annotation-budget backup monday.backup",
        "annotation-budget backup --data-dir ./data monday.backup",
        "DATABASE_URL=postgresql://budget:secret@db/budget annotation-budget backup monday.backup",
    )
)
def backup(file: File, data_dir: DataDir = None) -> None:
    """Write the whole database to a file, as of one instant; the service may run meanwhile.

    The file has pg_dump's own custom format. It appears whole, or not at all.
    """
    from app.cli.database.backup import write_backup
    from app.cli.settings import read_settings

    write_backup(read_settings(data_dir=data_dir), file)


@commands.command(
    epilog=examples(
        "annotation-budget restore monday.backup",
        "annotation-budget restore --data-dir ./data --force monday.backup",
    )
)
def restore(
    file: File,
    data_dir: DataDir = None,
    force: Annotated[
        bool, typer.Option("--force", help="Replace everything that is in the database.")
    ] = False,
) -> None:
    """Restore a backup, all of it or nothing; the service must not run meanwhile."""
    from app.cli.database.backup import restore_backup
    from app.cli.settings import read_settings

    restore_backup(read_settings(data_dir=data_dir), file, force=force)
