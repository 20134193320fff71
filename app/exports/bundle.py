"""A dataset with its card and manifest in one download: a ZIP that is written while it is sent."""

import hashlib
import zipfile
from collections.abc import AsyncGenerator, Iterable
from contextlib import aclosing
from typing import IO, Any, Final, cast

import orjson
from fastapi.concurrency import run_in_threadpool
from sqlalchemy.ext.asyncio import AsyncSession

from app.errors import RecipeUnfilled
from app.exports.card import CARD, dataset_card
from app.exports.encoding import FileFormat
from app.exports.filter import Split
from app.exports.judge import Counts, Scale
from app.exports.manifest import MANIFEST, BundledFile, manifest
from app.exports.queries import pairs as queries
from app.exports.service import Export, Snapshot, WrittenFile, stream_file
from app.exports.streaming import Sink
from app.preference.service import read_curve

_COMPRESSION_LEVEL: Final = 1


async def stream_bundle(
    session: AsyncSession, export: Export, snapshot: Snapshot
) -> AsyncGenerator[bytes, None]:
    """The ZIP: a file for each split that has rows, the card, and last the manifest.

    Its directory, with a checksum of each file, comes last: a ZIP that was cut off does not open.
    A split without rows has no file, because no loader reads one. A folder without any would have
    its manifest read as data.

    Raises:
        RecipeUnfilled: no split has rows. This is raised before the first byte.
    """
    archive = _Archive()
    files: list[BundledFile] = []
    pairs = 0
    wanted = export.options.split
    for split in (Split.TRAIN, Split.TEST) if wanted is Split.ALL else (wanted,):
        written = WrittenFile(Counts(), Scale())
        name = f"{split}.{export.options.file}"
        pieces = stream_file(session, export, snapshot, split, written)
        compress = export.options.file is not FileFormat.PARQUET
        async with aclosing(pieces):
            # Pieces are held back until the first row, since a file without rows is left out.
            held_back: list[bytes] = []
            async for piece in pieces:
                if not written.counts.rows:
                    held_back.append(piece)
                    continue
                yield await run_in_threadpool(
                    archive.write, name, [*held_back, piece], compress=compress
                )
                held_back = []
        pairs += written.counts.labelled_pairs
        if archive.is_open:
            size, sha256, rest = archive.close_file()
            files.append(BundledFile(name, str(split), size, sha256, written))
            yield rest
    if not files:
        raise RecipeUnfilled(
            f"the bundle would have no rows: of {pairs} labelled pairs, none gives one under these"
            f" options; {snapshot.pending_prompts} prompts are still being planned"
        )
    project = await queries.read_project(session, export.project_id)
    curve = await read_curve(session, export.project_id)
    card = dataset_card(export, project, snapshot, curve, files)
    yield archive.write(CARD, [card.encode()], compress=True)
    size, sha256, rest = archive.close_file()
    files.append(BundledFile(CARD, None, size, sha256, None))
    yield rest
    facts = manifest(export, project, snapshot, files)
    content = orjson.dumps(facts, option=orjson.OPT_INDENT_2 | orjson.OPT_APPEND_NEWLINE)
    yield archive.write(MANIFEST, [content], compress=True)
    yield archive.close_file()[2]
    yield archive.finish()


class _Archive:
    """A ZIP that is written one file after the other; its bytes are returned as they are ready."""

    def __init__(self) -> None:
        self._sink = Sink()
        self._zip = zipfile.ZipFile(
            cast("IO[bytes]", self._sink), "w", compresslevel=_COMPRESSION_LEVEL
        )
        self._file: IO[bytes] | None = None
        self._sha256: Any = None  # hashlib names no type for its objects
        self._size = 0

    @property
    def is_open(self) -> bool:
        """Whether a file is being written."""
        return self._file is not None

    def write(self, name: str, pieces: Iterable[bytes], *, compress: bool) -> bytes:
        """Write more of the open file, or begin a file of that name."""
        if self._file is None:
            self._zip.compression = zipfile.ZIP_DEFLATED if compress else zipfile.ZIP_STORED
            # Opened by name, a file gets the earliest date of the format instead of the time now.
            self._file = self._zip.open(name, "w", force_zip64=True)
            self._sha256, self._size = hashlib.sha256(), 0
        for piece in pieces:
            self._file.write(piece)
            self._sha256.update(piece)
            self._size += len(piece)
        return self._sink.take()

    def close_file(self) -> tuple[int, str, bytes]:
        """Close the open file; return its size, its SHA-256 and its last bytes."""
        assert self._file is not None
        self._file.close()
        self._file = None
        return self._size, self._sha256.hexdigest(), self._sink.take()

    def finish(self) -> bytes:
        """Write the directory of the ZIP, and return it."""
        self._zip.close()
        return self._sink.take()
