"""Strict JSON: refuse what Postgres could not store or a client could not read back. Pure."""

import json
import re
from collections.abc import Iterator
from typing import Any

import orjson

from app.errors import FieldError, InvalidInput, Location

_NUL = "\x00"
_ESCAPED_NUL = re.compile(rb"\\u0000")  # on long documents three times as fast as `in`
_END_OF_KEY = re.compile(rb'"\s*:')
_MAX_KEY_CHARACTERS = 100


def parse_json(document: bytes) -> Any:
    """Parse a JSON document whose strings all are valid Unicode without NUL.

    Raises:
        InvalidInput: the document is not JSON (nor are NaN, lone surrogates and bytes that are not
            UTF-8), is nested too deeply, or holds a NUL character, whose field is named.
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
        for location in _nul_locations(value):
            fault = FieldError(location, "holds a NUL character")
            raise InvalidInput(fault.msg, errors=(fault,)).under(("body",))
    return value


def refuse_repeated_keys(document: bytes, value: Any) -> None:
    """Refuse a document with an object that has a key twice: parsing keeps only the last.

    Args:
        document: what ``parse_json`` has parsed.
        value: what it gave.

    Raises:
        InvalidInput: a key stands twice; the detail names it.
    """
    # Texts hold quotes and colons too, so the slow parser decides where there are more than keys.
    if len(_END_OF_KEY.findall(document)) > _count_keys(value):
        try:
            json.loads(document, object_pairs_hook=_without_repeats)
        except RecursionError:
            raise InvalidInput("not valid JSON: nested too deeply") from None


def _count_keys(document: Any) -> int:
    keys = 0
    unseen = [document]
    while unseen:
        value = unseen.pop()
        if isinstance(value, dict):
            keys += len(value)
            unseen += [each for each in value.values() if isinstance(each, dict | list)]
        elif isinstance(value, list) and value and not isinstance(value[0], float):
            # A vector has no keys.
            unseen += [each for each in value if isinstance(each, dict | list)]
    return keys


def _without_repeats(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    found = dict(pairs)
    if len(found) < len(pairs):
        seen: set[str] = set()
        for name, _ in pairs:
            if name in seen:
                raise InvalidInput(f"{name[:_MAX_KEY_CHARACTERS]}: stands twice in one object")
            seen.add(name)
    return found


def _nul_locations(document: Any) -> Iterator[Location]:
    # A stack and no recursion: JSON may be nested deeper than Python allows calls to be.
    unseen: list[tuple[Any, Location]] = [(document, ())]
    while unseen:
        value, location = unseen.pop()
        if isinstance(value, str):
            if _NUL in value:
                yield location
        elif isinstance(value, list):
            unseen += [(item, (*location, index)) for index, item in enumerate(value)]
        elif isinstance(value, dict):
            if any(_NUL in key for key in value):
                yield (*location, "(a key)")
            unseen += [
                (item, (*location, key[:_MAX_KEY_CHARACTERS])) for key, item in value.items()
            ]
