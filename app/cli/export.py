"""`export`: a dataset out of a running service, verified: whole or not at all."""

import contextlib
import hashlib
import json
import shutil
import sys
import zipfile
import zlib
from collections.abc import Iterator
from pathlib import Path
from tempfile import TemporaryDirectory
from urllib.parse import quote

import httpx

from app.cli.errors import CommandFailed
from app.cli.transfer import Query, Service, destination, progress, refuse_failure

_CHUNK_BYTES = 256 * 1024
_GZIP = 16 + zlib.MAX_WBITS
_MANIFEST = "manifest.json"
_BROKE_OFF = "The dataset broke off on its way; nothing was written. Try again."


def is_folder(out: Path) -> bool:
    """Whether a dataset is to become a folder: it is one, or its name has no suffix."""
    return out.is_dir() or not out.suffix


def export_file(recipe: str, service: Service, query: Query, out: Path | None) -> None:
    """Write a recipe's single file to ``out``, or to standard output.

    It always travels as gzip, which ends with a checksum of the whole; and is unpacked here unless
    gzip was asked for.

    Raises:
        CommandFailed: the service refused, the dataset broke off, or the file cannot be written.
    """
    is_binary = query["file"] == "parquet" or query["compression"] == "gzip"
    if out is None and is_binary and sys.stdout.isatty():
        raise CommandFailed("This file is no sight for a terminal: give --out FILE.")
    keep_packed = query["compression"] == "gzip"
    with (
        service.client() as client,
        _stream(client, f"/exports/{quote(recipe, safe='')}", query) as response,
        progress() as bar,
        destination(out) as file,
    ):
        task = bar.add_task(f"Receiving {recipe}", total=None)
        check = zlib.decompressobj(_GZIP)
        for chunk in response.iter_raw(_CHUNK_BYTES):
            plain = _unpacked(check, chunk)
            file.write(chunk if keep_packed else plain)
            bar.advance(task, len(chunk))
        if not check.eof:
            raise CommandFailed(_BROKE_OFF)
    _tell_pending(response)


def export_folder(recipe: str, service: Service, query: Query, out: Path) -> None:
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
            service.client() as client,
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
    _tell_pending(response)


def _unpack(archive: Path, folder: Path) -> None:
    """Unpack a bundle and check each file against the manifest."""
    try:
        with zipfile.ZipFile(archive) as bundle:
            bundle.extractall(folder)
        manifest = json.loads((folder / _MANIFEST).read_bytes())
    except (zipfile.BadZipFile, zlib.error, OSError, ValueError) as error:
        raise CommandFailed(_BROKE_OFF) from error
    for told in manifest["files"]:
        with (folder / told["name"]).open("rb") as file:
            if hashlib.file_digest(file, "sha256").hexdigest() != told["sha256"]:
                raise CommandFailed(_BROKE_OFF)


@contextlib.contextmanager
def _stream(client: httpx.Client, path: str, query: Query) -> Iterator[httpx.Response]:
    """A stream of the service; an error of it is told instead of written."""
    # A kind of compression that nobody knows is the service's to refuse.
    params = {**query, "compression": "gzip"} if query["compression"] == "none" else dict(query)
    with client.stream("GET", path, params=params) as response:
        refuse_failure(response)
        yield response


def _unpacked(check: "zlib._Decompress", chunk: bytes) -> bytes:
    try:
        return check.decompress(chunk)
    except zlib.error as error:
        raise CommandFailed(_BROKE_OFF) from error


def _tell_pending(response: httpx.Response) -> None:
    pending = response.headers.get("X-Pending-Prompts", "0")
    if pending != "0":
        print(f"{pending} prompts are left out: they are still being planned.", file=sys.stderr)
