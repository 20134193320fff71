"""`import`, and what it shares with `export`: files in and out of a service, over HTTP."""

import contextlib
import ipaddress
import os
import sys
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import BinaryIO

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

from app.cli.errors import CommandFailed
from app.cli.sources import json_lines, opened

_CONNECT_SECONDS = 10.0

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


def import_prompts(source: Path, service: Service, query: Query) -> bool:
    """Send ``source`` (``-``: standard input) as lines, and print what became of them.

    Gives whether any line was rejected.

    Raises:
        CommandFailed: the file cannot be read, or the service refused it.
    """
    with opened(source) as (file, size), progress() as bar, service.client() as client:
        task = bar.add_task(f"Sending {source}", total=size)

        def lines() -> Iterator[bytes]:
            for chunk, read in json_lines(file, source):
                yield chunk
                bar.update(task, completed=read)
            bar.update(task, description="Waiting for the answer")

        response = client.post(
            "/prompts/import",
            params=dict(query),
            headers={"Content-Type": "application/x-ndjson"},
            content=lines(),
        )
        refuse_failure(response)
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


@contextlib.contextmanager
def destination(out: Path | None) -> Iterator[BinaryIO]:
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


def refuse_failure(response: httpx.Response) -> None:
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


def progress() -> Progress:
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
