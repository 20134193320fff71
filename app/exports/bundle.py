"""A dataset with all that is known about it, in one download: a ZIP written while it is sent."""

import hashlib
import zipfile
from collections.abc import AsyncGenerator, Iterable
from contextlib import aclosing
from typing import IO, Any, Final, cast

import orjson
from fastapi.concurrency import run_in_threadpool
from sqlalchemy.ext.asyncio import AsyncSession

from app.exports.card import CARD, dataset_card
from app.exports.counts import Counts
from app.exports.encoder import FileFormat
from app.exports.judge import Scale
from app.exports.manifest import MANIFEST, BundledFile, manifest
from app.exports.queries import pairs as queries
from app.exports.service import Export, Snapshot, WrittenFile, stream_file
from app.exports.sink import Sink
from app.exports.split import Split
from app.preference.curve import read_curve

_SMALL_EFFORT: Final = 1


async def stream_bundle(
    session: AsyncSession, export: Export, snapshot: Snapshot
) -> AsyncGenerator[bytes, None]:
    """The ZIP: a file for each split that has rows, the card, and last the manifest.

    Its directory, with a checksum of each file, comes at the very end: one that broke off is no
    ZIP. A split without rows has no file, because no loader takes one.
    """
    archive = _Archive()
    files: list[BundledFile] = []
    wanted = export.options.split
    for split in (Split.TRAIN, Split.TEST) if wanted is Split.ALL else (wanted,):
        written = WrittenFile(Counts(), Scale())
        name = f"{split}.{export.options.file}"
        pieces = stream_file(session, export, snapshot, split, written)
        packed = export.options.file is not FileFormat.PARQUET
        async with aclosing(pieces):
            # Nothing is written before it is known whether there is a row.
            first: list[bytes] = []
            async for piece in pieces:
                if not written.counts.rows:
                    first.append(piece)
                    continue
                yield await run_in_threadpool(archive.write, name, [*first, piece], packed=packed)
                first = []
        if archive.is_open:
            size, sha256, rest = archive.close_file()
            files.append(BundledFile(name, str(split), size, sha256, written))
            yield rest
    project = await queries.read_project(session, export.project_id)
    curve = await read_curve(session, export.project_id)
    card = dataset_card(export, project, snapshot.pending_prompts, curve, files)
    yield archive.write(CARD, [card.encode()], packed=True)
    size, sha256, rest = archive.close_file()
    files.append(BundledFile(CARD, None, size, sha256, None))
    yield rest
    told = manifest(export, project, snapshot.pending_prompts, snapshot.odds, files)
    content = orjson.dumps(told, option=orjson.OPT_INDENT_2 | orjson.OPT_APPEND_NEWLINE)
    yield archive.write(MANIFEST, [content], packed=True)
    yield archive.close_file()[2]
    yield archive.finish()


class _Archive:
    """A ZIP in the making, one file after the other; it keeps no more than what is not taken."""

    def __init__(self) -> None:
        self._sink = Sink()
        self._zip = zipfile.ZipFile(cast("IO[bytes]", self._sink), "w", compresslevel=_SMALL_EFFORT)
        self._file: IO[bytes] | None = None
        self._sha256: Any = None  # hashlib names no type for its objects
        self._size = 0

    @property
    def is_open(self) -> bool:
        """Whether a file is being written."""
        return self._file is not None

    def write(self, name: str, pieces: Iterable[bytes], *, packed: bool) -> bytes:
        """More of the file that is open, or the beginning of one of that name."""
        if self._file is None:
            self._zip.compression = zipfile.ZIP_DEFLATED if packed else zipfile.ZIP_STORED
            # By its name alone a file gets no date but the first that a ZIP knows.
            self._file = self._zip.open(name, "w", force_zip64=True)
            self._sha256, self._size = hashlib.sha256(), 0
        for piece in pieces:
            self._file.write(piece)
            self._sha256.update(piece)
            self._size += len(piece)
        return self._sink.take()

    def close_file(self) -> tuple[int, str, bytes]:
        """End the open file: its size, its SHA-256, and the bytes that end it."""
        assert self._file is not None
        self._file.close()
        self._file = None
        return self._size, self._sha256.hexdigest(), self._sink.take()

    def finish(self) -> bytes:
        """The directory."""
        self._zip.close()
        return self._sink.take()
