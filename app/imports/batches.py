"""Read a stream of bytes as batches of lines, in bounded memory."""

import asyncio
from collections.abc import (
    AsyncGenerator,
    AsyncIterable,
    AsyncIterator,
    Iterable,
    Iterator,
    Sequence,
)
from typing import TypeVar

from app.formats.column_map import ColumnMap
from app.imports.line_splitter import Line
from app.imports.lines import LineReader, ReadLines
from app.imports.stream_splitter import StreamSplitter
from app.settings import MAX_LINE_BYTES

_BATCH_LINES = 500
_BATCH_BYTES = 8 * 1024 * 1024
_LINES_AT_ONCE = 32
_BYTES_AT_ONCE = 512 * 1024

T = TypeVar("T")


async def read_batches(
    chunks: AsyncIterable[bytes],
    *,
    is_document: bool = False,
    keep_extra: bool = False,
    columns: ColumnMap | None = None,
) -> AsyncIterator[ReadLines]:
    """Read the lines of each batch, a few at a time, so that other requests are served between.

    At most one batch, and the line after it, are in memory. ``is_document``: the stream is JSON as
    a whole, whose values are read as lines are.

    Raises:
        UnsupportedMedia: the stream is another kind of file, or in another encoding.
    """
    reader = LineReader(keep_extra=keep_extra, columns=columns)
    async for batch in _batches(chunks, StreamSplitter(MAX_LINE_BYTES, is_document=is_document)):
        read: ReadLines = ([], [])
        for few in _few_at_a_time(batch):
            # A thread costs more than reading a few short lines; long ones would block the loop.
            is_long = _size(few) > _BYTES_AT_ONCE
            good, bad = await asyncio.to_thread(reader.read, few) if is_long else reader.read(few)
            read[0].extend(good)
            read[1].extend(bad)
            await asyncio.sleep(0)
        yield read
    yield reader.finish()


async def read_ahead(items: AsyncIterator[T]) -> AsyncGenerator[T]:
    """The same items, each made while the caller uses the one before.

    An error in making an item is raised after the items before it have been used.
    """

    async def make_next() -> T | None:
        return await anext(items, None)

    next_item = asyncio.create_task(make_next())
    try:
        while (made := await next_item) is not None:
            next_item = asyncio.create_task(make_next())
            yield made
    finally:
        next_item.cancel()
        await asyncio.gather(next_item, return_exceptions=True)


async def _batches(
    chunks: AsyncIterable[bytes], splitter: StreamSplitter
) -> AsyncIterator[list[Line]]:
    batch: list[Line] = []
    size = 0
    async for chunk in chunks:
        found: Iterable[Line] = splitter.feed(chunk)
        if splitter.kept_bytes + len(chunk) > _BYTES_AT_ONCE:
            # The splitter looks at whole values: a long one would block the loop.
            found = await asyncio.to_thread(list, found)
        for line in found:
            batch.append(line)
            size += _size([line])
            if len(batch) >= _BATCH_LINES or size >= _BATCH_BYTES:
                yield batch
                batch, size = [], 0
    batch.extend(splitter.finish())
    if batch:
        yield batch


def _few_at_a_time(lines: Sequence[Line]) -> Iterator[list[Line]]:
    """Groups of lines that take some milliseconds to read; a line that takes longer is alone."""
    few: list[Line] = []
    size = 0
    for line in lines:
        added = _size([line])
        if few and (len(few) >= _LINES_AT_ONCE or size + added > _BYTES_AT_ONCE):
            yield few
            few, size = [], 0
        few.append(line)
        size += added
    if few:
        yield few


def _size(lines: Sequence[Line]) -> int:
    return sum(len(line.content or b"") for line in lines)
