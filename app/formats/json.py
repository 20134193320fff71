"""Strict JSON: what Postgres or a client could not take back never comes in. Pure."""

import json
import re
from collections.abc import Iterator
from typing import Any

import orjson

from app.errors import FieldError, InvalidInput

_NUL = "\x00"
_ESCAPED_NUL = re.compile(rb"\\u0000")  # on long documents three times as fast as `in`
_MAX_KEY_CHARACTERS = 100


def parse_json(document: bytes) -> Any:
    """Parse a JSON document whose strings all are valid Unicode without NUL.

    Raises:
        InvalidInput: not JSON (NaN, lone surrogates and bytes that are not UTF-8 are not), nested
            too deeply, or with a NUL character; the field is named where there is one.
    """
    try:
        value = orjson.loads(document)
    except json.JSONDecodeError as error:
        if "UTF-8" in error.msg:
            raise InvalidInput("not valid JSON: not UTF-8") from None
        raise InvalidInput(
            f"not valid JSON: {error.msg} (line {error.lineno}, column {error.colno})"
        ) from None
    if _ESCAPED_NUL.search(document):
        for place in _nul_places(value, ("body",)):
            fault = FieldError(place, "holds a NUL character")
            where = ".".join(str(part) for part in place)
            raise InvalidInput(f"{where}: {fault.msg}", errors=(fault,))
    return value


def _nul_places(document: Any, start: tuple[str | int, ...]) -> Iterator[tuple[str | int, ...]]:
    # A stack of its own: JSON may be nested deeper than Python likes to recurse.
    unseen: list[tuple[Any, tuple[str | int, ...]]] = [(document, start)]
    while unseen:
        value, place = unseen.pop()
        if isinstance(value, str):
            if _NUL in value:
                yield place
        elif isinstance(value, list):
            unseen += [(item, (*place, number)) for number, item in enumerate(value)]
        elif isinstance(value, dict):
            if any(_NUL in key for key in value):
                yield (*place, "(a key)")
            unseen += [(item, (*place, key[:_MAX_KEY_CHARACTERS])) for key, item in value.items()]
