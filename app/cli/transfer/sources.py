"""Read JSON lines, a JSON array, CSV or Parquet, and turn it into JSON lines."""

import contextlib
import csv
import gzip
import io
import sys
import zlib
from collections.abc import Iterable, Iterator
from itertools import islice
from pathlib import Path
from typing import Any, BinaryIO, Final, cast

import orjson

from app.cli.transfer.json_array import array_lines
from app.errors import CommandFailed

_CHUNK_BYTES: Final = 256 * 1024
_GZIP_MAGIC: Final = b"\x1f\x8b"
_PARQUET_MAGIC: Final = b"PAR1"
_ROWS_PER_CHUNK: Final = 256
_MAX_CELL_CHARACTERS: Final = 32 * 1024 * 1024
_CONVERSATIONS: Final = ("prompt", "chosen", "rejected")
_RESPONSES: Final = frozenset(
    {"chosen", "rejected"} | {f"response{side}" for side in ("_a", "_b", "_1", "_2", "1", "2")}
)
_OBJECTS: Final = ("responses", "completions", "preferences", "metadata")
_NUMBERS: Final = ("score_chosen", "score_rejected")


@contextlib.contextmanager
def opened(source: Path) -> Iterator[tuple[io.BufferedReader, int | None]]:
    """The file and its size in bytes (None for ``-``, standard input).

    Raises:
        CommandFailed: it cannot be read.
    """
    if str(source) == "-":
        yield cast("io.BufferedReader", sys.stdin.buffer), None
        return
    try:
        file = source.open("rb")
    except OSError as error:
        raise CommandFailed(f"{source} cannot be read: {error.strerror}.") from error
    with file:
        yield file, source.stat().st_size or None


def json_lines(file: io.BufferedReader, source: Path) -> Iterator[bytes]:
    """The file as chunks of JSON lines, read a piece at a time.

    gzip is unpacked. CSV and TSV are recognised by the file's name, the rest by its first bytes.

    Raises:
        CommandFailed: the file is damaged.
    """
    start = file.peek(4)
    if start.startswith(_PARQUET_MAGIC):
        return _parquet_lines(file, source)
    plain: BinaryIO = file
    name = source.name.lower()
    if start.startswith(_GZIP_MAGIC):
        plain, name = cast("BinaryIO", gzip.GzipFile(fileobj=file)), name.removesuffix(".gz")
    if name.endswith((".csv", ".tsv")):
        return _csv_lines(plain, source, "\t" if name.endswith(".tsv") else ",")
    return _plain_lines(plain, source)


def _plain_lines(plain: BinaryIO, source: Path) -> Iterator[bytes]:
    with _damage_reported(source):
        chunk = plain.read(_CHUNK_BYTES)
        if chunk.removeprefix(b"\xef\xbb\xbf").lstrip()[:1] == b"[":
            yield from _chunks(array_lines(chunk, plain, source))
            return
        while chunk:
            yield chunk
            chunk = plain.read(_CHUNK_BYTES)


def _chunks(lines: Iterable[bytes]) -> Iterator[bytes]:
    """Join lines into chunks of ``_CHUNK_BYTES``."""
    chunk: list[bytes] = []
    size = 0
    for line in lines:
        chunk.append(line)
        size += len(line)
        if size >= _CHUNK_BYTES:
            yield b"".join(chunk)
            chunk, size = [], 0
    if chunk:
        yield b"".join(chunk)


def _csv_lines(plain: BinaryIO, source: Path, delimiter: str) -> Iterator[bytes]:
    csv.field_size_limit(_MAX_CELL_CHARACTERS)
    text = io.TextIOWrapper(plain, encoding="utf-8-sig", newline="")
    try:
        with _damage_reported(source):
            rows = map(_from_csv, csv.DictReader(text, delimiter=delimiter, strict=True))
            while some := list(islice(rows, _ROWS_PER_CHUNK)):
                yield _lines(some)
    finally:
        # Without this, the wrapper would close the caller's file.
        text.detach()


def _from_csv(row: dict[str | Any, Any]) -> dict[str, Any]:
    """A row's cells by column; an empty cell was not given, unless it is a response."""
    found: dict[str, Any] = {}
    for name, cell in row.items():
        if not isinstance(name, str) or not isinstance(cell, str):
            continue
        if cell or name in _RESPONSES:
            found[name] = _cell(name, cell)
    return found


def _cell(name: str, cell: str) -> Any:
    """A score as a number, a conversation or an object from its JSON, anything else as text."""
    if name in _NUMBERS:
        with contextlib.suppress(ValueError):
            return float(cell)
        return cell
    if name in (*_CONVERSATIONS, *_OBJECTS) and cell.startswith(("[", "{")):
        with contextlib.suppress(orjson.JSONDecodeError):
            value = orjson.loads(cell)
            if name in _OBJECTS or _is_conversation(value):
                return value
    return cell


def _is_conversation(value: Any) -> bool:
    return isinstance(value, list) and all(
        isinstance(turn, dict) and "role" in turn for turn in value
    )


def _parquet_lines(file: io.BufferedReader, source: Path) -> Iterator[bytes]:
    import pyarrow as pa  # noqa: PLC0415 - takes half a second
    import pyarrow.parquet as pq  # noqa: PLC0415 - as above

    if not file.seekable():
        raise CommandFailed("A Parquet file is read from its end: name the file, not a pipe.")
    try:
        for batch in pq.ParquetFile(file).iter_batches(batch_size=_ROWS_PER_CHUNK):
            yield _lines([_without_nulls(row) for row in batch.to_pylist()])
    except (pa.ArrowException, OSError) as error:
        raise CommandFailed(f"{source} is damaged ({error}).") from error


def _without_nulls(value: Any) -> Any:
    """Remove null fields: Parquet has every field in every row, also those not given."""
    if isinstance(value, dict):
        return {name: _without_nulls(each) for name, each in value.items() if each is not None}
    if isinstance(value, list):
        return [_without_nulls(each) for each in value]
    return value


def _lines(rows: list[Any]) -> bytes:
    return b"".join(
        orjson.dumps(row, default=str, option=orjson.OPT_APPEND_NEWLINE) for row in rows
    )


@contextlib.contextmanager
def _damage_reported(source: Path) -> Iterator[None]:
    """Raise damage as ``CommandFailed``; the lines before it may have been sent already."""
    try:
        yield
    except (gzip.BadGzipFile, EOFError, zlib.error, UnicodeDecodeError, csv.Error) as error:
        raise CommandFailed(
            f"{source} is damaged ({error}); lines before the damage may have been imported."
        ) from error
