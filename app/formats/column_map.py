"""Give the columns of a file the names that formats know. Pure."""

from collections.abc import Mapping
from typing import Any, Final

from app.errors import InvalidInput

ColumnMap = Mapping[str, str]
"""The names that columns are read by; ``RESPONSE``, ``METADATA`` and ``IGNORE`` for several."""

RESPONSE: Final = "response"
"""One more candidate response."""
METADATA: Final = "metadata"
"""A field of the prompt's metadata, under the column's own name."""
IGNORE: Final = "ignore"
"""Left out, and counted so."""


def renamed(line: Any, columns: ColumnMap) -> tuple[Any, list[str]]:
    """The line as if its columns had these names, and the columns that are ignored.

    Columns that are not named keep their own name.

    Raises:
        InvalidInput: two columns would have one name.
    """
    if not columns or not isinstance(line, dict):
        return line, []
    ignored: list[str] = []
    named: dict[str, Any] = {}
    metadata: dict[str, Any] = {}
    for name, value in line.items():
        target = columns.get(name)
        if target == IGNORE:
            ignored.append(name)
        elif target == METADATA:
            metadata[name] = value
        elif target != RESPONSE:
            if (target or name) in named:
                raise _two(target or name)
            named[target or name] = value
    texts = [line[name] for name in columns if columns[name] == RESPONSE and name in line]
    if texts:
        if "responses" in named:
            raise _two("responses")
        named["responses"] = [
            each if isinstance(each, dict) else {"text": "" if each is None else each}
            for each in texts
        ]
    if metadata:
        given = named.get(METADATA) or {}
        if not isinstance(given, dict) or given.keys() & metadata.keys():
            raise _two(METADATA)
        named[METADATA] = given | metadata
    return named, ignored


def _two(name: str) -> InvalidInput:
    return InvalidInput(f"{name}: two columns have this name, one of them by the map")
