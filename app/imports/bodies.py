"""The body of an import, whatever kind of file it is, as a stream of JSON."""

import asyncio
import contextlib
import io
import tempfile
from collections.abc import AsyncIterable, AsyncIterator, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Final, cast

from app.errors import FileUnreadable, InvalidInput, TooLarge
from app.formats.file_kinds import PARQUET as KIND_OF_PARQUET
from app.formats.file_kinds import START_BYTES, other_kind
from app.imports.files.refused import RefusedRows
from app.imports.files.sources import json_source
from app.settings import MAX_TABLE_BYTES

LINES: Final = "application/x-ndjson"
DOCUMENT: Final = "application/json"
CSV: Final = "text/csv"
TSV: Final = "text/tab-separated-values"
PARQUET: Final = "application/vnd.apache.parquet"
_SUFFIXES: Final = {CSV: ".csv", TSV: ".tsv", PARQUET: ".parquet"}
_NAME: Final = Path("the body")


@dataclass(frozen=True, slots=True)
class Body:
    """A body as JSON, and the rows that are not in it, as far as it has been read."""

    chunks: AsyncIterable[bytes]
    is_document: bool
    refused: RefusedRows


@contextlib.asynccontextmanager
async def opened_body(stream: AsyncIterable[bytes], media_type: str) -> AsyncIterator[Body]:
    """The body as JSON, read as it comes. A table is put into a temporary file first.

    Raises:
        TooLarge: a table is over the limit.
        InvalidInput: a table cannot be read for sure.
    """
    suffix = _SUFFIXES.get(media_type)
    if suffix is None:
        yield Body(stream, media_type == DOCUMENT, RefusedRows())
        return
    with tempfile.TemporaryFile() as raw:
        size = 0
        async for chunk in stream:
            size += len(chunk)
            if size > MAX_TABLE_BYTES:
                raise TooLarge(f"a table may have {MAX_TABLE_BYTES} bytes: send it as JSON lines")
            await asyncio.to_thread(raw.write, chunk)
        raw.seek(0)
        if media_type == PARQUET and other_kind(raw.read(START_BYTES)) != KIND_OF_PARQUET:
            raise InvalidInput("the body is no Parquet file")
        raw.seek(0)
        file = cast("io.BufferedReader", raw)
        try:
            source = await asyncio.to_thread(json_source, file, _NAME, suffix)
            yield Body(_from_thread(source.chunks), is_document=False, refused=source.refused)
        except FileUnreadable as error:
            raise InvalidInput(str(error)) from None


async def _from_thread(chunks: Iterator[bytes]) -> AsyncIterator[bytes]:
    """The same chunks, each made in a thread: a large table takes a while."""
    while (chunk := await asyncio.to_thread(next, chunks, None)) is not None:
        yield chunk
