"""The API's TCP socket, opened before the API starts, and kept open while it restarts."""

import errno
import socket
import time

from app.errors import CommandFailed

_BACKLOG = 2048
_RETRY_SECONDS = 0.1


def listen(host: str, port: int, *, patience_seconds: float = 0.0) -> socket.socket:
    """Open a listening socket; port 0 takes a free one.

    Clients that connect before the API runs wait in its queue. A port that is in use is tried again
    for ``patience_seconds``.

    Raises:
        CommandFailed: somebody else listens there, or the address is not ours.
    """
    try:
        family, kind, protocol, _, address = socket.getaddrinfo(
            host, port, type=socket.SOCK_STREAM, flags=socket.AI_PASSIVE
        )[0]
    except socket.gaierror as error:
        raise CommandFailed(f"{host} is not an address: {error.strerror}.") from error
    deadline = time.monotonic() + patience_seconds
    while True:
        listener = socket.socket(family, kind, protocol)
        listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            listener.bind(address)
            listener.listen(_BACKLOG)
        except OSError as error:
            listener.close()
            in_use = error.errno == errno.EADDRINUSE
            if not in_use or time.monotonic() >= deadline:
                raise CommandFailed(_reason(host, port, error)) from error
            time.sleep(_RETRY_SECONDS)
        else:
            return listener


def address_of(listener: socket.socket) -> str:
    """The ``http://`` address of a listening socket, for a client on this machine."""
    host, port = listener.getsockname()[:2]
    if host in {"0.0.0.0", "::"}:  # noqa: S104 - only compared
        host = "127.0.0.1" if host == "0.0.0.0" else "::1"  # noqa: S104 - only compared
    return f"http://[{host}]:{port}" if ":" in host else f"http://{host}:{port}"


def _reason(host: str, port: int, error: OSError) -> str:
    if error.errno == errno.EADDRINUSE:
        return (
            f"Port {port} of {host} is in use: stop what listens there, or choose another --port "
            "(0 takes a free one)."
        )
    return f"Cannot listen on {host}, port {port}: {error.strerror}."
