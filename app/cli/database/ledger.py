"""Check every project's ledger, and print what was found."""

import asyncio
from collections.abc import Sequence
from decimal import Decimal

from rich import box
from rich.console import Console
from rich.markup import escape
from rich.table import Table

from app.annotation.verify import Difference, Verification, verify
from app.cli.errors import database_errors
from app.log import configure_logging
from app.settings import Settings
from app.storage.engine import create_engine, session_factory
from app.storage.migrate import require_newest_schema
from app.storage.reach import reach_database
from app.storage.tables import Project


def verify_ledger(settings: Settings) -> int:
    """Check the ledger of every project, print what was found, and count the differences."""
    configure_logging("WARNING", settings.log_format)
    with database_errors(), reach_database(settings) as url:
        found = asyncio.run(_verify(url))
    console = Console()
    console.print(_projects(found.projects, found.differences))
    if found.differences:
        console.print(_differences(found.differences))
    return len(found.differences)


async def _verify(url: str) -> Verification:
    engine = create_engine(url, pool_size=1)
    try:
        await require_newest_schema(engine)
        async with session_factory(engine)() as session:
            return await verify(session)
    finally:
        await engine.dispose()


def _projects(projects: Sequence[Project], differences: Sequence[Difference]) -> Table:
    table = Table(box=box.SIMPLE_HEAD)
    table.add_column("project")
    for column in ("limit", "spent", "reserved", "labels", "surplus"):
        table.add_column(column, justify="right")
    table.add_column("unit")
    table.add_column("ledger")
    for project in projects:
        differing = sum(difference.project == project.name for difference in differences)
        table.add_row(
            project.name,
            "none" if project.budget_limit is None else _figure(project.budget_limit),
            _figure(project.spent),
            _figure(project.reserved),
            str(project.counted_labels),
            str(project.surplus_labels),
            project.unit,
            f"[red]{differing} differ[/]" if differing else "[green]ok[/]",
        )
    return table


def _differences(differences: Sequence[Difference]) -> Table:
    table = Table(box=box.SIMPLE_HEAD)
    for column in ("project", "of", "what"):
        table.add_column(column)
    for column in ("recorded", "found"):
        table.add_column(column, justify="right")
    for each in differences:
        recorded = "none" if each.recorded is None else _figure(each.recorded)
        of = each.subject or "the project"
        table.add_row(escape(each.project), of, each.what, recorded, _figure(each.actual))
    return table


def _figure(value: Decimal) -> str:
    """Without trailing zeros."""
    return f"{value:f}".rstrip("0").rstrip(".") if value % 1 else f"{value:.0f}"
