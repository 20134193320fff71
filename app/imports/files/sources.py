"""Open JSON lines, a JSON array, CSV or Parquet, and hand over what it holds as JSON."""

import contextlib
import gzip
import io
import sys
import zlib
from collections.abc import Iterator
from dataclasses import dataclass, field
from itertools import chain
from pathlib import Path
from typing import BinaryIO, Final, cast

from app.errors import FileUnreadable
from app.formats.encodings import encoding_of, in_utf_8
from app.formats.file_kinds import GZIP, PARQUET, START_BYTES, other_kind
from app.imports.files.csv_rows import csv_rows
from app.imports.files.numbered import numbered_lines
from app.imports.files.parquet_rows import parquet_rows
from app.imports.files.refused import RefusedRows
from app.imports.stream_splitter import starts_values

_CHUNK_BYTES: Final = 256 * 1024
_DELIMITERS: Final = {".csv": ",", ".tsv": "\t"}


@dataclass(frozen=True, slots=True)
class JsonSource:
    """A file as chunks of JSON: lines, or an array."""

    chunks: Iterator[bytes]
    counts: str
    """What the numbers of the service's report count in the file: lines, elements or rows."""
    refused: RefusedRows = field(default_factory=RefusedRows)
    """Rows that are not in ``chunks``, as far as these have been read."""

    def __iter__(self) -> Iterator[bytes]:
        return self.chunks


@contextlib.contextmanager
def opened(source: Path) -> Iterator[tuple[io.BufferedReader, int | None]]:
    """The file and its size in bytes (None for ``-``, standard input).

    Raises:
        FileUnreadable: it cannot be read.
    """
    if str(source) == "-":
        yield cast("io.BufferedReader", sys.stdin.buffer), None
        return
    try:
        file = source.open("rb")
    except OSError as error:
        raise FileUnreadable(f"{source} cannot be read: {error.strerror}.") from error
    with file:
        yield file, source.stat().st_size or None


def json_source(file: io.BufferedReader, source: Path, suffix: str | None = None) -> JsonSource:
    """The file as JSON in UTF-8, read a piece at a time.

    gzip is unpacked. CSV and TSV are recognised by the file's name, or by ``suffix`` in its place,
    the rest by its first bytes.

    Raises:
        FileUnreadable: it is another kind of file, or damaged.
    """
    kind = other_kind(file.peek(START_BYTES))
    if kind == PARQUET:
        return _parquet_source(file, source)
    if kind is None:
        return _text_source(file, source, source.suffix if suffix is None else suffix)
    if kind != GZIP:
        raise FileUnreadable(f"{source} is {kind}: unpack it first.")
    unpacked = gzip.GzipFile(fileobj=file)
    with _damage_reported(source):
        kind = other_kind(unpacked.peek(START_BYTES))
    if kind is not None:
        raise FileUnreadable(f"{source} is {kind} within gzip: unpack it first.")
    packed_suffix = Path(source.stem).suffix if source.suffix.lower() == ".gz" else source.suffix
    return _text_source(cast("io.BufferedReader", unpacked), source, packed_suffix)


def _parquet_source(file: io.BufferedReader, source: Path) -> JsonSource:
    if not file.seekable():
        raise FileUnreadable("A Parquet file is read from its end: name the file, not a pipe.")
    refused = RefusedRows()
    return JsonSource(numbered_lines(parquet_rows(file, source, refused)), "row", refused)


def _text_source(file: io.BufferedReader, source: Path, suffix: str) -> JsonSource:
    with _damage_reported(source):
        encoding = encoding_of(file.peek(START_BYTES))
        if usual := _DELIMITERS.get(suffix.lower()):
            refused = RefusedRows()
            rows = csv_rows(file, encoding, source, usual, refused)
            return JsonSource(_whole(numbered_lines(rows), source), "line", refused)
        chunks = in_utf_8(_chunks(file), encoding)
        start = next(chunks, b"")
    counts = "element" if starts_values(start) else "line"
    return JsonSource(_whole(chain([start], chunks), source), counts)


def _chunks(file: BinaryIO) -> Iterator[bytes]:
    while chunk := file.read(_CHUNK_BYTES):
        yield chunk


def _whole(chunks: Iterator[bytes], source: Path) -> Iterator[bytes]:
    """The same chunks; damage to the file is told."""
    with _damage_reported(source):
        yield from chunks


@contextlib.contextmanager
def _damage_reported(source: Path) -> Iterator[None]:
    """Raise damage as ``FileUnreadable``; the lines before it may have been sent already."""
    try:
        yield
    except (gzip.BadGzipFile, EOFError, zlib.error) as error:
        raise FileUnreadable(
            f"{source} is damaged ({error}); lines before the damage may have been imported."
        ) from error
