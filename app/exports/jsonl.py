"""JSON lines: one object a line, UTF-8."""

from collections.abc import Iterable, Sequence
from typing import Final

import orjson

from app.exports.recipe import Column, Layout, Row

# JSON allows these inside a string, but many readers (Python's `splitlines` among them) end a line
# there. Their bytes can stand nowhere else in a JSON document.
_LINE_BREAKS: Final = (
    ("\N{NEXT LINE}".encode(), b"\\u0085"),
    ("\N{LINE SEPARATOR}".encode(), b"\\u2028"),
    ("\N{PARAGRAPH SEPARATOR}".encode(), b"\\u2029"),
)


class JsonLines:
    """Writes rows as JSON lines; every piece holds whole lines."""

    def __init__(self, columns: Sequence[Column], _: Layout) -> None:
        self._names = [column.name for column in columns]

    def encode(self, rows: Iterable[Row]) -> bytes:
        """One line for each row, its keys in the order of the columns."""
        lines = b"".join(
            orjson.dumps(
                {name: row[name] for name in self._names}, option=orjson.OPT_APPEND_NEWLINE
            )
            for row in rows
        )
        for raw, escaped in _LINE_BREAKS:
            lines = lines.replace(raw, escaped)
        return lines

    def finish(self) -> bytes:
        """Nothing ends a file of JSON lines."""
        return b""
