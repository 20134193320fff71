"""Read JSON bodies strictly: refuse what Postgres cannot store, or a client could not read back."""

from collections.abc import Callable, Coroutine
from typing import Any

from fastapi import Request, Response
from fastapi.routing import APIRoute
from starlette.datastructures import Headers

from app.errors import TooLarge, UnsupportedMedia
from app.formats.json import parse_json
from app.settings import MAX_BODY_BYTES

_TOO_LARGE = f"a body may have {MAX_BODY_BYTES} bytes"
_Handler = Callable[[Request], Coroutine[Any, Any, Response]]


class JsonRoute(APIRoute):
    """A route that refuses a JSON body that is too large or not strict JSON."""

    def get_route_handler(self) -> _Handler:
        """Read and check the body before FastAPI does."""
        handle = super().get_route_handler()
        takes_json = self.body_field is not None

        async def handle_strictly(request: Request) -> Response:
            if takes_json and _has_body(request.headers):
                require_media_type(request.headers, "application/json")
                # Starlette caches a body here, and FastAPI takes it from there.
                request._body = await _read(request)
                request._json = parse_json(request._body)
            return await handle(request)

        return handle_strictly


async def _read(request: Request) -> bytes:
    if int(request.headers.get("content-length", 0)) > MAX_BODY_BYTES:
        raise TooLarge(_TOO_LARGE)
    chunks: list[bytes] = []
    size = 0
    async for chunk in request.stream():
        size += len(chunk)
        if size > MAX_BODY_BYTES:
            raise TooLarge(_TOO_LARGE)
        chunks.append(chunk)
    return b"".join(chunks)


def _has_body(headers: Headers) -> bool:
    return "transfer-encoding" in headers or headers.get("content-length", "0") != "0"


def require_media_type(headers: Headers, *wanted: str) -> str:
    """Refuse a body of another content type; gives the one it has.

    Raises:
        UnsupportedMedia: the content type is missing or not one of ``wanted``.
    """
    given = headers.get("content-type", "").partition(";")[0].strip().lower()
    if given not in wanted:
        raise UnsupportedMedia(f"send the body as {' or '.join(wanted)}")
    return given
