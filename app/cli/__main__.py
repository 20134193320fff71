"""The entry point: `annotation-budget`, or `python -m app.cli`."""

from collections.abc import Sequence

import typer

from app.cli.database.commands import commands as database
from app.cli.errors import plain_errors
from app.cli.installation import refuse_foreign_packages
from app.cli.serve.commands import commands as serve
from app.cli.simulate.commands import commands as simulate
from app.cli.training.commands import commands as training
from app.cli.transfer.commands import commands as transfer

cli = typer.Typer(
    help="Decides which pairs of LLM responses are worth a human's label, and holds the budget.",
    no_args_is_help=True,
    add_completion=False,
    pretty_exceptions_enable=False,
    rich_markup_mode="rich",
)
for family in (serve, transfer, simulate, training, database):
    cli.add_typer(family)


def main(arguments: Sequence[str] | None = None) -> None:
    """Run the command line."""
    refuse_foreign_packages()
    with plain_errors():
        cli(arguments)


if __name__ == "__main__":
    main()
