"""`import` and `export`: files in and out of a running service, over HTTP."""

import contextlib
import gzip
import ipaddress
import os
import sys
import zlib
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import BinaryIO, Protocol, cast
from urllib.parse import quote

import httpx
from rich.console import Console
from rich.progress import (
    BarColumn,
    DownloadColumn,
    Progress,
    SpinnerColumn,
    TextColumn,
    TimeElapsedColumn,
    TransferSpeedColumn,
)

from app.cli_errors import CommandFailed

_CHUNK_BYTES = 256 * 1024
_CONNECT_SECONDS = 10.0
_GZIP_MAGIC = b"\x1f\x8b"

Query = Mapping[str, str | int | float | bool]


@dataclass(frozen=True, slots=True)
class Service:
    """A running service, and the key to open it with."""

    url: str
    key: str

    @contextlib.contextmanager
    def client(self) -> Iterator[httpx.Client]:
        """A client that waits as long as the work takes, and tells its failures plainly.

        Raises:
            CommandFailed: nothing answers there, or the connection broke off.
        """
        try:
            with httpx.Client(
                base_url=self.url,
                headers={"Authorization": f"Bearer {self.key}"},
                timeout=httpx.Timeout(None, connect=_CONNECT_SECONDS),
                # A proxy is for other machines.
                trust_env=not _is_local(httpx.URL(self.url).host),
            ) as client:
                yield client
        except (httpx.ConnectError, httpx.ConnectTimeout) as error:
            raise CommandFailed(
                f"Nothing answers at {self.url}: is the service running? (--url names another.)"
            ) from error
        except (httpx.InvalidURL, httpx.UnsupportedProtocol, httpx.LocalProtocolError) as error:
            raise CommandFailed(f"Not an address or a key one can use: {error}") from error
        except httpx.TransportError as error:
            raise CommandFailed(f"The connection to {self.url} broke off: {error}") from error


class _Peekable(Protocol):
    def peek(self, size: int, /) -> bytes: ...


def import_prompts(source: Path, service: Service, query: Query) -> bool:
    """Send the lines of ``source`` (``-``: standard input), and print what became of them.

    Gives whether any line was rejected.

    Raises:
        CommandFailed: the file cannot be read, or the service refused it.
    """
    with _opened(source) as (file, size), _progress() as progress, service.client() as client:
        task = progress.add_task(f"Sending {source}", total=size)

        def lines() -> Iterator[bytes]:
            for chunk, read in _unpacked(file, source):
                yield chunk
                progress.update(task, completed=read)
            progress.update(task, description="Waiting for the answer")

        response = client.post(
            "/prompts/import",
            params=dict(query),
            headers={"Content-Type": "application/x-ndjson"},
            content=lines(),
        )
        _refuse_failure(response)
    counts = response.json()
    rejected: int = counts["rejected_count"]
    print(
        f"{counts['created']} created, {counts['unchanged']} unchanged, "
        f"{counts['labels']} labels, {rejected} rejected"
    )
    for line in counts["rejected"]:
        print(f"line {line['line']}: {line['detail']}")
    if rejected > len(counts["rejected"]):
        print(f"... and {rejected - len(counts['rejected'])} more")
    return rejected > 0


def export_dataset(recipe: str, service: Service, query: Query, out: Path | None) -> None:
    """Write a recipe's file to ``out``, or to standard output.

    Raises:
        CommandFailed: the service refused, the connection broke off, or the file cannot be written.
    """
    if out is None and query["file"] == "parquet" and sys.stdout.isatty():
        raise CommandFailed("A Parquet file is no sight for a terminal: give --out FILE.")
    with (
        service.client() as client,
        client.stream("GET", f"/exports/{quote(recipe, safe='')}", params=dict(query)) as response,
    ):
        _refuse_failure(response)
        with _progress() as progress, _destination(out) as file:
            task = progress.add_task(f"Receiving {recipe}", total=None)
            for chunk in response.iter_bytes(_CHUNK_BYTES):
                file.write(chunk)
                progress.advance(task, len(chunk))
    pending = response.headers.get("X-Pending-Prompts", "0")
    if pending != "0":
        print(f"{pending} prompts are left out: they are still being planned.", file=sys.stderr)


@contextlib.contextmanager
def _opened(source: Path) -> Iterator[tuple[BinaryIO, int | None]]:
    """The file and its size in bytes (None for standard input)."""
    if str(source) == "-":
        yield sys.stdin.buffer, None
        return
    try:
        file = source.open("rb")
    except OSError as error:
        raise CommandFailed(f"{source} cannot be read: {error.strerror}.") from error
    with file:
        yield file, source.stat().st_size or None


def _unpacked(file: BinaryIO, source: Path) -> Iterator[tuple[bytes, int]]:
    """Chunks of the file's content, each with the bytes read of the file so far."""
    packed = cast("_Peekable", file).peek(2)[:2] == _GZIP_MAGIC
    content = cast("BinaryIO", gzip.GzipFile(fileobj=file)) if packed else file
    sent = 0
    try:
        while chunk := content.read(_CHUNK_BYTES):
            sent += len(chunk)
            yield chunk, file.tell() if file.seekable() else sent
    except (gzip.BadGzipFile, EOFError, zlib.error) as error:
        raise CommandFailed(
            f"{source} is damaged ({error}); lines before the damage may have been imported."
        ) from error


@contextlib.contextmanager
def _destination(out: Path | None) -> Iterator[BinaryIO]:
    """Where the dataset goes: a file appears whole, under its name, or not at all."""
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


def _refuse_failure(response: httpx.Response) -> None:
    """Turn an error of the service into one line."""
    if response.is_success:
        return
    response.read()
    try:
        problem = response.json()
        reason = f"{problem['title']}: {problem['detail']}"
    except (ValueError, KeyError, TypeError):
        reason = response.reason_phrase
    raise CommandFailed(f"{reason} ({response.status_code})")


def _progress() -> Progress:
    """A progress bar on the terminal; nothing where standard error is none."""
    return Progress(
        SpinnerColumn(),
        TextColumn("{task.description}"),
        BarColumn(),
        DownloadColumn(),
        TransferSpeedColumn(),
        TimeElapsedColumn(),
        console=Console(stderr=True),
        transient=True,
        disable=not sys.stderr.isatty(),
    )


def _is_local(host: str) -> bool:
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return host == "localhost"
