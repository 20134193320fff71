"""A stream of bytes as batches of lines that have been read, with bounded memory."""

import asyncio
from collections.abc import AsyncIterable, AsyncIterator, Iterator, Sequence

from app.imports.line_splitter import Line, LineSplitter
from app.imports.lines import BadLine, GoodLine, read_lines
from app.settings import MAX_LINE_BYTES

_BATCH_LINES = 500
_BATCH_BYTES = 8 * 1024 * 1024
_LINES_AT_ONCE = 32
_BYTES_AT_ONCE = 512 * 1024

ReadLines = tuple[list[GoodLine], list[BadLine]]


async def read_batches(chunks: AsyncIterable[bytes]) -> AsyncIterator[ReadLines]:
    """The lines of each batch, read a few at a time: other requests are served in between.

    One batch, and the line after it, are in memory at most.
    """
    async for batch in _batches(chunks):
        good: list[GoodLine] = []
        bad: list[BadLine] = []
        for few in _few_at_a_time(batch):
            # Handing few lines to a thread costs more than they do; a long one would be noticed.
            is_long = _size(few) > _BYTES_AT_ONCE
            read = await asyncio.to_thread(read_lines, few) if is_long else read_lines(few)
            good += read[0]
            bad += read[1]
            await asyncio.sleep(0)
        yield good, bad


async def _batches(chunks: AsyncIterable[bytes]) -> AsyncIterator[list[Line]]:
    splitter = LineSplitter(MAX_LINE_BYTES)
    batch: list[Line] = []
    size = 0
    async for chunk in chunks:
        for line in splitter.feed(chunk):
            batch.append(line)
            size += _size([line])
            if len(batch) >= _BATCH_LINES or size >= _BATCH_BYTES:
                yield batch
                batch, size = [], 0
    batch.extend(splitter.finish())
    if batch:
        yield batch


def _few_at_a_time(lines: Sequence[Line]) -> Iterator[list[Line]]:
    """The lines, some milliseconds' work at a time; one that is more stands alone."""
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
