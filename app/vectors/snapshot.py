"""Save an index to a file, and load it. A damaged or unfinished file is never loaded.

The file has a line that names the format, a line of JSON with whose index it is, the bytes of
FAISS, and the BLAKE2b digest of all of these.
"""

import hashlib
import json
import os
from dataclasses import dataclass
from pathlib import Path
from typing import IO

import faiss

from app.vectors.index import VectorIndex
from app.vectors.marks import Mark, Position

_FORMAT = b"annotation-budget index 1\n"
_DIGEST_BYTES = 32
_BUFFER_BYTES = 1024 * 1024
_UNFINISHED = ".unfinished"

# The stubs of FAISS do not know these.
_callback_writer = faiss.PyCallbackIOWriter  # type: ignore[attr-defined]
_callback_reader = faiss.PyCallbackIOReader  # type: ignore[attr-defined]


@dataclass(frozen=True, slots=True)
class Snapshot:
    """An index, and how far it has caught up."""

    index: VectorIndex
    mark: Mark


def save(path: Path, index: VectorIndex, mark: Mark, *, owner: str) -> None:
    """Write the index to the file, and replace the old file at once.

    ``owner`` says whose vectors these are: ``load`` accepts only a file of the same owner.
    """
    path.parent.mkdir(parents=True, exist_ok=True)
    unfinished = path.with_name(path.name + _UNFINISHED)
    digest = hashlib.blake2b(digest_size=_DIGEST_BYTES)
    with index.lock, unfinished.open("wb") as file:

        def write(part: bytes) -> None:
            digest.update(part)
            file.write(part)

        write(_FORMAT)
        header = {"owner": owner, "dimensions": index.dimensions, "size": len(index), "mark": mark}
        write(json.dumps(header).encode() + b"\n")
        faiss.write_index(index.faiss, _callback_writer(write, _BUFFER_BYTES))
        file.write(digest.digest())
        file.flush()
        os.fsync(file.fileno())
    unfinished.replace(path)
    _sync_folder(path.parent)


def load(path: Path, *, owner: str, dimensions: int) -> Snapshot | None:
    """What ``save`` wrote; None if it is missing, damaged, of another owner or another format."""
    try:
        with path.open("rb") as file:
            return _read(file, owner, dimensions)
    # FAISS raises RuntimeError for bytes that it cannot read.
    except (OSError, ValueError, KeyError, TypeError, RuntimeError):
        return None


def delete(path: Path) -> None:
    """Remove the file, and what an interrupted ``save`` left beside it."""
    path.unlink(missing_ok=True)
    delete_unfinished(path)


def delete_unfinished(path: Path) -> None:
    """Remove what an interrupted ``save`` left beside the file: it may hold erased vectors."""
    path.with_name(path.name + _UNFINISHED).unlink(missing_ok=True)


def _read(file: IO[bytes], owner: str, dimensions: int) -> Snapshot | None:
    if not _is_whole(file) or file.readline() != _FORMAT:
        return None
    header = json.loads(file.readline())
    if header["owner"] != owner or header["dimensions"] != dimensions:
        return None
    structure = faiss.read_index(_callback_reader(file.read, _BUFFER_BYTES))
    index = VectorIndex.of_structure(structure)
    embedded, erased = header["mark"]
    if len(index) != header["size"] or index.dimensions != dimensions:
        return None
    return Snapshot(index, Mark(Position(*embedded), Position(*erased)))


def _is_whole(file: IO[bytes]) -> bool:
    """Whether the file ends with the digest of the rest; it is rewound to its beginning."""
    length = file.seek(0, os.SEEK_END) - _DIGEST_BYTES
    if length < 0:
        return False
    file.seek(0)
    digest = hashlib.blake2b(digest_size=_DIGEST_BYTES)
    while length > 0:
        part = file.read(min(length, _BUFFER_BYTES))
        digest.update(part)
        length -= len(part)
    whole = file.read() == digest.digest()
    file.seek(0)
    return whole


def _sync_folder(folder: Path) -> None:
    """Make the rename survive a power cut. Windows cannot open folders, and does not need it."""
    if os.name == "nt":
        return
    descriptor = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
