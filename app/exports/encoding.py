"""Encode rows as the bytes of a file, piece by piece."""

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from enum import StrEnum
from typing import Final, Protocol

import orjson

from app.exports.parquet import ParquetRowGroups
from app.exports.recipe import Column, Layout, Row

# JSON allows these characters inside a string, but many readers (Python's `splitlines` for one) end
# a line there. Their bytes occur nowhere else in a JSON document.
_LINE_BREAKS: Final = (
    ("\N{NEXT LINE}".encode(), b"\\u0085"),
    ("\N{LINE SEPARATOR}".encode(), b"\\u2028"),
    ("\N{PARAGRAPH SEPARATOR}".encode(), b"\\u2029"),
)


class Encoder(Protocol):
    """Writes one file; it keeps in memory only what does not fill a piece yet."""

    def encode(self, rows: Iterable[Row]) -> bytes:
        """Add rows, and return the bytes that are ready, possibly none."""

    def finish(self) -> bytes:
        """The bytes that end the file."""


class JsonLines:
    """Writes rows as JSON lines: one object a line, UTF-8. Every piece holds whole lines."""

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


class FileFormat(StrEnum):
    """The file formats of a dataset."""

    JSONL = "jsonl"
    PARQUET = "parquet"


@dataclass(frozen=True, slots=True)
class FileType:
    """The media type of a file format, and how to write it."""

    media_type: str
    encoder: Callable[[Sequence[Column], Layout], Encoder]


FILE_TYPES: Final = {
    FileFormat.JSONL: FileType("application/x-ndjson", JsonLines),
    FileFormat.PARQUET: FileType("application/vnd.apache.parquet", ParquetRowGroups),
}
