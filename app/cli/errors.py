"""What a command says when it cannot do its work: one clear line on stderr, exit status 1."""

import contextlib
from collections.abc import Iterator

import typer


class CommandFailed(Exception):
    """The command cannot do its work; the message says why."""


@contextlib.contextmanager
def plain_errors(*expected: type[Exception]) -> Iterator[None]:
    """Tell ``CommandFailed`` and the ``expected`` errors; any other is a defect of ours."""
    told: tuple[type[Exception], ...] = (CommandFailed, *expected)
    try:
        yield
    except told as error:
        typer.echo(f"Error: {error}", err=True)
        raise typer.Exit(1) from error
