"""Rows become the bytes of a file, piece by piece."""

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from enum import StrEnum
from typing import Final, Protocol

from app.exports.jsonl import JsonLines
from app.exports.parquet import ParquetRowGroups
from app.exports.recipe import Column, Layout, Row


class Encoder(Protocol):
    """Writes one file. It keeps no more of it than what has not filled a piece yet."""

    def encode(self, rows: Iterable[Row]) -> bytes:
        """Take the next rows; give what bytes are ready, maybe none."""

    def finish(self) -> bytes:
        """The bytes that end the file."""


class FileFormat(StrEnum):
    """The file formats of a dataset."""

    JSONL = "jsonl"
    PARQUET = "parquet"


@dataclass(frozen=True, slots=True)
class FileType:
    """How a file format is called over HTTP, and written."""

    media_type: str
    encoder: Callable[[Sequence[Column], Layout], Encoder]


FILE_TYPES: Final = {
    FileFormat.JSONL: FileType("application/x-ndjson", JsonLines),
    FileFormat.PARQUET: FileType("application/vnd.apache.parquet", ParquetRowGroups),
}
