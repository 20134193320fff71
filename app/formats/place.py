"""Where in a request an error lies."""

from collections.abc import Iterator
from contextlib import contextmanager

from app.errors import AppError, FieldError

Place = tuple[str | int, ...]


def dotted(place: Place) -> str:
    """A place as a person reads it: ``prompts.3.responses``."""
    return ".".join(str(part) for part in place)


def place(error: AppError, start: Place) -> AppError:
    """Make an error about a part of the request tell where that part stands."""
    error.errors = tuple(FieldError((*start, *each.loc), each.msg) for each in error.errors)
    if error.errors:
        error.detail = f"{dotted(error.errors[0].loc)}: {error.errors[0].msg}"
    return error


@contextmanager
def placed(start: Place) -> Iterator[None]:
    """Errors raised in here are about the part of the request that stands at ``start``."""
    try:
        yield
    except AppError as error:
        raise place(error, start) from None
