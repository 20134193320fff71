"""Download a dataset from a running service, verify it, and write it whole or not at all."""

import contextlib
import hashlib
import json
import os
import shutil
import sys
import zipfile
import zlib
from collections.abc import Iterator
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import BinaryIO
from urllib.parse import quote

import httpx

from app.cli.transfer.service import Query, progress, raise_for_refusal
from app.errors import CommandFailed

_CHUNK_BYTES = 256 * 1024
_GZIP = 16 + zlib.MAX_WBITS
_MANIFEST = "manifest.json"
_BROKE_OFF = "The dataset broke off on its way; nothing was written. Try again."


def is_folder(out: Path) -> bool:
    """Whether ``out`` names a folder: it is one, or its name has no suffix."""
    return out.is_dir() or not out.suffix


def export_file(recipe: str, client: httpx.Client, query: Query, out: Path | None) -> None:
    """Write a recipe's single file to ``out``, or to standard output.

    The download is always gzip, because gzip ends with a checksum of the whole; it is unpacked here
    unless ``query`` asks for gzip.

    Raises:
        CommandFailed: the service refused, the dataset broke off, or the file cannot be written.
    """
    is_binary = query["file"] == "parquet" or query["compression"] == "gzip"
    if out is None and is_binary and sys.stdout.isatty():
        raise CommandFailed("This file is no sight for a terminal: give --out FILE.")
    keep_packed = query["compression"] == "gzip"
    with (
        _stream(client, f"/exports/{quote(recipe, safe='')}", query) as response,
        progress() as bar,
        _destination(out) as file,
    ):
        task = bar.add_task(f"Receiving {recipe}", total=None)
        check = zlib.decompressobj(_GZIP)
        for chunk in response.iter_raw(_CHUNK_BYTES):
            plain = _decompress(check, chunk)
            file.write(chunk if keep_packed else plain)
            bar.advance(task, len(chunk))
        if not check.eof:
            raise CommandFailed(_BROKE_OFF)
    _print_left_out(response)


def export_folder(recipe: str, client: httpx.Client, query: Query, out: Path) -> None:
    """Write ``train``, ``test``, ``README.md`` and ``manifest.json`` to a new or empty folder.

    Every file is checked against the SHA-256 of the manifest before the folder gets its name.

    Raises:
        CommandFailed: the service refused, the dataset broke off, or the folder is in use.
    """
    if out.exists() and (not out.is_dir() or any(out.iterdir())):
        raise CommandFailed(f"{out} is there and not empty: name a new folder.")
    if not out.absolute().parent.is_dir():
        raise CommandFailed(f"{out} cannot be written: its parent folder does not exist.")
    with TemporaryDirectory(prefix=f".{out.name}.", dir=out.absolute().parent) as scratch:
        archive, folder = Path(scratch) / "bundle.zip", Path(scratch) / "folder"
        with (
            _stream(client, f"/exports/{quote(recipe, safe='')}/bundle", query) as response,
            progress() as bar,
            archive.open("wb") as file,
        ):
            task = bar.add_task(f"Receiving {recipe}", total=None)
            for chunk in response.iter_raw(_CHUNK_BYTES):
                file.write(chunk)
                bar.advance(task, len(chunk))
        _unpack(archive, folder)
        if out.exists():
            out.rmdir()
        shutil.move(folder, out)
    _print_left_out(response)


def _unpack(archive: Path, folder: Path) -> None:
    """Unpack a bundle and check each file against the manifest."""
    try:
        with zipfile.ZipFile(archive) as bundle:
            bundle.extractall(folder)
        manifest = json.loads((folder / _MANIFEST).read_bytes())
    except (zipfile.BadZipFile, zlib.error, OSError, ValueError) as error:
        raise CommandFailed(_BROKE_OFF) from error
    for entry in manifest["files"]:
        with (folder / entry["name"]).open("rb") as file:
            if hashlib.file_digest(file, "sha256").hexdigest() != entry["sha256"]:
                raise CommandFailed(_BROKE_OFF)


@contextlib.contextmanager
def _destination(out: Path | None) -> Iterator[BinaryIO]:
    """Standard output, or a file that appears whole under its name or not at all."""
    if out is None:
        yield sys.stdout.buffer
        sys.stdout.buffer.flush()
        return
    partial = out.with_name(f".{out.name}.{os.getpid()}.partial")
    try:
        with partial.open("xb") as file:
            yield file
            file.flush()
            os.fsync(file.fileno())
        partial.replace(out)
    except OSError as error:
        raise CommandFailed(f"{out} cannot be written: {error.strerror}.") from error
    finally:
        partial.unlink(missing_ok=True)


@contextlib.contextmanager
def _stream(client: httpx.Client, path: str, query: Query) -> Iterator[httpx.Response]:
    """A download; a refusal is raised instead of written to the file."""
    # An unknown compression is passed on, so that the service refuses it.
    params = {**query, "compression": "gzip"} if query["compression"] == "none" else dict(query)
    with client.stream("GET", path, params=params) as response:
        raise_for_refusal(response)
        yield response


def _decompress(check: "zlib._Decompress", chunk: bytes) -> bytes:
    try:
        return check.decompress(chunk)
    except zlib.error as error:
        raise CommandFailed(_BROKE_OFF) from error


def _print_left_out(response: httpx.Response) -> None:
    pending = response.headers.get("X-Pending-Prompts", "0")
    if pending != "0":
        print(f"{pending} prompts are left out: they are still being planned.", file=sys.stderr)
    with_tools = response.headers.get("X-Prompts-With-Tools-Left-Out", "0")
    if with_tools != "0":
        print(
            f"{with_tools} prompts are left out: these files cannot hold tools or tool calls.",
            file=sys.stderr,
        )
