"""What every request passes before it reaches a route: plain ASGI, nothing is buffered.

A request passes ``UnderRootPath``, ``CountRequests``, ``RequestLog``, ``LimitRates``, then
``RefuseNulCharacters``.
"""

import math
import secrets
import time
from typing import Final

import structlog
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from app.errors import FieldError, InvalidInput, TooManyRequests
from app.http.logged_path import logged_path
from app.http.problems import answer
from app.http.rate_limits import RateLimits, digest_of_key
from app.http.request_metrics import RequestMetrics
from app.http.root_path import route_path

log = structlog.get_logger()

AUTHENTICATED: Final = "is_authenticated"
"""Set in the request's state once its key has been accepted."""
_REQUEST_ID_HEADER: Final = b"x-request-id"
_MAX_REQUEST_ID_BYTES: Final = 128
_PROBES: Final = frozenset({"/healthz", "/readyz"})
"""They need no key, so a key sent along is not looked at."""
_METRICS: Final = "/metrics"
_UNKNOWN_ADDRESS: Final = "unknown"


class CountRequests:
    """Counts every request when its answer begins, or fails to."""

    def __init__(self, app: ASGIApp, metrics: RequestMetrics) -> None:
        self.app = app
        self.metrics = metrics

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Serve a request, and count it."""
        if scope["type"] != "http":
            await self.app(scope, receive, send)
            return
        started = time.perf_counter()
        is_counted = False

        async def count_and_send(message: Message) -> None:
            nonlocal is_counted
            if message["type"] == "http.response.start":
                is_counted = True
                self.metrics.count(scope, message["status"], time.perf_counter() - started)
            await send(message)

        try:
            await self.app(scope, receive, count_and_send)
        except Exception:
            # Starlette's outermost middleware answers this with a 500.
            if not is_counted:
                self.metrics.count(scope, 500, time.perf_counter() - started)
            raise


class RequestLog:
    """Logs one line a request, with an id that the caller may choose and always gets back."""

    def __init__(self, app: ASGIApp) -> None:
        self.app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Serve a request, and log it."""
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
                if route_path(scope) not in _PROBES | {_METRICS}:
                    log.info(
                        "request",
                        method=scope["method"],
                        path=logged_path(scope),
                        status=status or None,
                        milliseconds=round((time.perf_counter() - started) * 1000, 1),
                    )


def _given_request_id(scope: Scope) -> str | None:
    value = _header(scope, _REQUEST_ID_HEADER)
    if value is None or not 0 < len(value) <= _MAX_REQUEST_ID_BYTES:
        return None
    text = value.decode("ascii", "replace")
    return text if text.isprintable() and text.isascii() else None


class LimitRates:
    """Refuses requests beyond the rate limits before their bodies are read."""

    def __init__(self, app: ASGIApp, limits: RateLimits) -> None:
        self.app = app
        self.limits = limits

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Serve a request, or refuse it."""
        key = _key(scope)
        if key is None:
            await self.app(scope, receive, send)
            return
        client = scope.get("client")
        address = client[0] if client else _UNKNOWN_ADDRESS
        # Scraping the metrics is free, but its key must not be guessed either.
        is_counted = route_path(scope) != _METRICS
        wait = await self.limits.seconds_to_wait(key, address, is_counted=is_counted)
        if wait is not None:
            refusal = answer(
                TooManyRequests(
                    "this key, or this address, has made too many requests in this minute",
                    retry_after=max(1, math.ceil(wait)),
                ),
                scope,
            )
            await refusal(scope, receive, send)
            return

        async def learn_and_send(message: Message) -> None:
            if message["type"] == "http.response.start":
                if scope.get("state", {}).get(AUTHENTICATED):
                    self.limits.accepted(key)
                elif message["status"] == 401:
                    await self.limits.rejected(key, address)
            await send(message)

        await self.app(scope, receive, learn_and_send)


def _key(scope: Scope) -> str | None:
    """The digest of the key that a request carries; None if there is none, or none is needed."""
    if scope["type"] != "http" or route_path(scope) in _PROBES:
        return None
    value = _header(scope, b"authorization")
    return None if value is None else digest_of_key(value)


class RefuseNulCharacters:
    """Refuses a NUL character in a path or query: no text in Postgres can hold one."""

    def __init__(self, app: ASGIApp) -> None:
        self.app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Serve a request, or refuse it."""
        if scope["type"] == "http":
            place = _place_of_nul(scope)
            if place is not None:
                error = FieldError((place,), "holds a NUL character")
                refused = InvalidInput(f"{place}: {error.msg}", errors=(error,))
                refusal = answer(refused, scope)
                await refusal(scope, receive, send)
                return
        await self.app(scope, receive, send)


def _place_of_nul(scope: Scope) -> str | None:
    if "\x00" in scope["path"]:
        return "path"
    query: bytes = scope["query_string"]
    return "query" if b"%00" in query or b"\x00" in query else None


def _header(scope: Scope, name: bytes) -> bytes | None:
    """The first header of that name."""
    return next((value for given, value in scope["headers"] if given == name), None)
