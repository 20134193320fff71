"""A running service, reached over HTTP."""

import contextlib
import ipaddress
import sys
from collections.abc import Iterator, Mapping
from typing import Any

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

from app.errors import CommandFailed

_CONNECT_SECONDS = 10.0
_PAGE = 200

Query = Mapping[str, str | int | float | bool]


@contextlib.contextmanager
def running_service(url: str, key: str) -> Iterator[httpx.Client]:
    """A client of the service at ``url`` that waits for as long as the service works.

    Raises:
        CommandFailed: nothing answers there, or the connection broke off.
    """
    try:
        with httpx.Client(
            base_url=url,
            headers={"Authorization": f"Bearer {key}"},
            timeout=httpx.Timeout(None, connect=_CONNECT_SECONDS),
            # A proxy is for other machines.
            trust_env=not _is_local(httpx.URL(url).host),
        ) as client:
            yield client
    except (httpx.ConnectError, httpx.ConnectTimeout) as error:
        raise CommandFailed(
            f"Nothing answers at {url}: is the service running? (--url names another.)"
        ) from error
    except (httpx.InvalidURL, httpx.UnsupportedProtocol, httpx.LocalProtocolError) as error:
        raise CommandFailed(f"Not an address or a key one can use: {error}") from error
    except httpx.TransportError as error:
        raise CommandFailed(f"The connection to {url} broke off: {error}") from error


def raise_for_refusal(response: httpx.Response) -> None:
    """Raise what the service refused as ``CommandFailed``, in one line."""
    if response.is_success:
        return
    response.read()
    try:
        problem = response.json()
        reason = f"{problem['title']}: {problem['detail']}"
    except (ValueError, KeyError, TypeError):
        reason = response.reason_phrase
    raise CommandFailed(f"{reason} ({response.status_code})")


def get(client: httpx.Client, path: str, query: Query | None = None) -> Any:
    """What a call answers; a refusal is raised as ``CommandFailed``."""
    answer = client.get(path, params=query)
    raise_for_refusal(answer)
    return answer.json()


def stored_prompts(client: httpx.Client, project: str) -> Iterator[dict[str, Any]]:
    """The prompts of a project, each with its responses."""
    query: dict[str, str | int] = {"project": project, "limit": _PAGE}
    while True:
        page = get(client, "/prompts", query)
        for summary in page["prompts"]:
            yield get(client, f"/prompts/{summary['id']}")
        if page["next_cursor"] is None:
            return
        query["cursor"] = page["next_cursor"]


def progress() -> Progress:
    """A progress bar on standard error if that is a terminal, else nothing."""
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
