"""The pages at ``/docs``: Swagger UI, served from this machine alone.

Its files come with the package ``fastapi-offline``. The page's own script stands in a file, so that
the page needs no script within it, and its policy forbids any.
"""

from importlib.resources import files
from pathlib import Path
from typing import Final

from fastapi import APIRouter
from starlette.exceptions import HTTPException
from starlette.responses import FileResponse, HTMLResponse, Response

router = APIRouter(prefix="/docs", include_in_schema=False)

_OWN: Final = Path(__file__).parent
_SWAGGER_UI: Final = Path(str(files("fastapi_offline"))) / "static"
_ASSETS: Final = {
    "start.js": _OWN / "docs_start.js",
    "swagger-ui-bundle.js": _SWAGGER_UI / "swagger-ui-bundle.js",
    "swagger-ui.css": _SWAGGER_UI / "swagger-ui.css",
    "favicon.png": _SWAGGER_UI / "favicon.png",
}
# Swagger UI sets styles of elements from its script, and has its icons in data: addresses.
_HEADERS: Final = {
    "Content-Security-Policy": "default-src 'none'; script-src 'self'; connect-src 'self';"
    " style-src 'self' 'unsafe-inline'; img-src 'self' data:;"
    " base-uri 'none'; form-action 'none'; frame-ancestors 'none'",
    "X-Content-Type-Options": "nosniff",
    "Referrer-Policy": "no-referrer",
}
_CACHE_SECONDS: Final = 3600


@router.head("")
@router.get("")
async def docs() -> Response:
    """The page."""
    return HTMLResponse((_OWN / "docs.html").read_bytes(), headers=_HEADERS)


@router.head("/{name}")
@router.get("/{name}")
async def asset(name: str) -> Response:
    """A file of the page."""
    if name not in _ASSETS:
        raise HTTPException(404)
    kept = {"Cache-Control": f"max-age={_CACHE_SECONDS}"}
    return FileResponse(_ASSETS[name], headers=_HEADERS | kept)
