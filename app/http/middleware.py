"""What every request passes before it reaches a route: plain ASGI, nothing is buffered."""

import secrets
import time
from collections.abc import MutableMapping
from typing import Any

import structlog
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from app.errors import FieldError, InvalidInput
from app.http.problems import answer

log = structlog.get_logger()

_REQUEST_ID_HEADER = b"x-request-id"
_MAX_REQUEST_ID = 128
_UNTOLD_PATHS = frozenset({"/healthz", "/readyz", "/metrics"})


class RequestLog:
    """One log line a request, with an id that the caller may choose and always gets back."""

    def __init__(self, app: ASGIApp) -> None:
        self.app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Serve a request, and tell the log how it went."""
        if scope["type"] != "http":
            await self.app(scope, receive, send)
            return
        request_id = _given_request_id(scope) or secrets.token_hex(8)
        status = 0

        async def send_with_id(message: Message) -> None:
            nonlocal status
            if message["type"] == "http.response.start":
                status = message["status"]
                message = {
                    **message,
                    "headers": [*message["headers"], (_REQUEST_ID_HEADER, request_id.encode())],
                }
            await send(message)

        started = time.perf_counter()
        with structlog.contextvars.bound_contextvars(request_id=request_id):
            try:
                await self.app(scope, receive, send_with_id)
            finally:
                if scope["path"] not in _UNTOLD_PATHS:
                    log.info(
                        "request",
                        method=scope["method"],
                        path=scope["path"],
                        status=status or None,
                        milliseconds=round((time.perf_counter() - started) * 1000, 1),
                    )


def _given_request_id(scope: MutableMapping[str, Any]) -> str | None:
    for name, value in scope["headers"]:
        if name == _REQUEST_ID_HEADER and 0 < len(value) <= _MAX_REQUEST_ID:
            text: str = value.decode("ascii", "replace")
            return text if text.isprintable() and text.isascii() else None
    return None


class RefuseNulCharacters:
    """Refuse a NUL character in a path or query: no text that we store can hold one."""

    def __init__(self, app: ASGIApp) -> None:
        self.app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Serve a request, or refuse it."""
        if scope["type"] == "http":
            place = _place_of_nul(scope)
            if place is not None:
                error = FieldError((place,), "holds a NUL character")
                refusal = answer(InvalidInput(f"{place}: {error.msg}", errors=(error,)))
                await refusal(scope, receive, send)
                return
        await self.app(scope, receive, send)


def _place_of_nul(scope: Scope) -> str | None:
    if "\x00" in scope["path"]:
        return "path"
    query: bytes = scope["query_string"]
    return "query" if b"%00" in query or b"\x00" in query else None
