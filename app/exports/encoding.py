"""Encode rows as the bytes of a file, piece by piece.

An encoder keeps in memory only what does not fill a piece yet.
"""

from collections.abc import Iterable
from enum import StrEnum
from typing import Final

import orjson

from app.exports.parquet import ParquetRowGroups
from app.exports.recipe import Columns, Layout, Row

# JSON allows these characters inside a string, but many readers (Python's `splitlines` for one) end
# a line there. Their bytes occur nowhere else in a JSON document.
_LINE_BREAKS: Final = (
    ("\N{NEXT LINE}".encode(), b"\\u0085"),
    ("\N{LINE SEPARATOR}".encode(), b"\\u2028"),
    ("\N{PARAGRAPH SEPARATOR}".encode(), b"\\u2029"),
)


class JsonLines:
    """Writes rows as JSON lines: one object a line, UTF-8. Every piece holds whole lines."""

    media_type: Final = "application/x-ndjson"

    def __init__(self, columns: Columns, _: Layout, *, whole_messages: bool = False) -> None:
        # Every object of JSON lines has its own fields anyway.
        del whole_messages
        self._names = list(columns)

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


class FileFormat(StrEnum):
    """The file formats of a dataset."""

    JSONL = "jsonl"
    PARQUET = "parquet"


ENCODERS: Final[dict[FileFormat, type[JsonLines | ParquetRowGroups]]] = {
    FileFormat.JSONL: JsonLines,
    FileFormat.PARQUET: ParquetRowGroups,
}
"""What writes a file of each format."""
