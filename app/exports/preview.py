"""What an export would hold, without a download: counted by writing it, and throwing it away."""

from contextlib import aclosing
from dataclasses import replace
from typing import Any, Final

import orjson
from sqlalchemy.ext.asyncio import AsyncSession

from app.exports.encoding import FileFormat
from app.exports.filter import Split
from app.exports.judge import Counts, Scale
from app.exports.schemas import LeftOut, Preview
from app.exports.service import Export, Snapshot, WrittenFile, begin_export, stream_file
from app.exports.streaming import Compression

_FIRST_ROWS: Final = 3
_OTHER: Final = {Split.TRAIN: Split.TEST, Split.TEST: Split.TRAIN}


async def preview_export(session: AsyncSession, export: Export) -> Preview:
    """Counts and first rows of one state of the labels.

    Raises:
        RecipeUnfilled: the project lacks what the recipe needs.
    """
    snapshot = await begin_export(session, export)
    split = export.options.split
    size, counts = await _write(session, export, snapshot, split)
    other = _OTHER.get(split)
    elsewhere = 0
    if other is not None:
        elsewhere = (await _write(session, export, snapshot, other))[1].labelled_pairs
    return Preview(
        labelled_pairs=counts.labelled_pairs + elsewhere,
        rows=counts.rows,
        left_out=LeftOut(
            tie=counts.undecided_pairs - counts.pairs_without_majority - counts.pairs_both_bad,
            both_bad=counts.pairs_both_bad,
            no_majority=counts.pairs_without_majority,
            below_agreement=counts.pairs_below_agreement,
            one_text=counts.pairs_of_one_text,
            joined=counts.pairs_joined,
            tools=counts.pairs_with_tools,
            circle=counts.pairs_dropped_for_cycles,
            other_split=elsewhere,
        ),
        pending_prompts=snapshot.pending_prompts,
        first=await _first_rows(session, export, snapshot),
        bytes=size,
        filename=export.filename,
    )


async def _write(
    session: AsyncSession, export: Export, snapshot: Snapshot, split: Split
) -> tuple[int, Counts]:
    """How many bytes the file of a split has before it is compressed, and what it counts."""
    written = WrittenFile(Counts(), Scale())
    size = 0
    async with aclosing(stream_file(session, export, snapshot, split, written)) as pieces:
        async for piece in pieces:
            size += len(piece)
    return size, written.counts


async def _first_rows(
    session: AsyncSession, export: Export, snapshot: Snapshot
) -> list[dict[str, Any]]:
    as_lines = replace(export.options, file=FileFormat.JSONL, compression=Compression.NONE)
    written = WrittenFile(Counts(), Scale())
    pieces = stream_file(
        session, replace(export, options=as_lines), snapshot, export.options.split, written
    )
    text = b""
    async with aclosing(pieces):
        async for piece in pieces:
            text += piece
            if text.count(b"\n") >= _FIRST_ROWS:
                break
    return [orjson.loads(line) for line in text.splitlines()[:_FIRST_ROWS]]
