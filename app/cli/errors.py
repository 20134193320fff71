"""What a command says when it fails: one clear line on standard error, and exit status 1."""
# ruff: noqa: PLC0415 - nothing is imported before it is needed, as in every command

import contextlib
import sys
from collections.abc import Iterator


@contextlib.contextmanager
def plain_errors() -> Iterator[None]:
    """Print a ``CommandFailed`` and exit; any other exception is a defect of ours."""
    from app.errors import CommandFailed

    try:
        yield
    except CommandFailed as error:
        print(f"Error: {error}", file=sys.stderr)
        raise SystemExit(1) from error


@contextlib.contextmanager
def database_errors() -> Iterator[None]:
    """Turn an error of the database into what the driver says, in one line.

    Raises:
        CommandFailed: the database did not answer, or refused.
    """
    import psycopg
    from sqlalchemy.exc import SQLAlchemyError

    from app.errors import CommandFailed

    try:
        yield
    except (SQLAlchemyError, psycopg.Error) as error:
        # SQLAlchemy's own message repeats the statement.
        reason = getattr(error, "orig", None) or error
        raise CommandFailed("The database: " + " ".join(str(reason).split())) from error
