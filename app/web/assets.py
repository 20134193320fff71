"""The style sheet and the scripts, read once and served under a path that names their content.

A browser keeps them for good: whatever changes in one of them changes the path of all. They lie
side by side under that path, so scripts import each other by relative names.
"""

import gzip
import mimetypes
from dataclasses import dataclass
from functools import cache
from hashlib import blake2b
from pathlib import Path
from typing import Annotated, Final

from fastapi import APIRouter, Header
from starlette.exceptions import HTTPException
from starlette.responses import Response

STATIC: Final = Path(__file__).parent / "static"
STYLE_SHEET: Final = "app.css"
_TYPES: Final = {".js": "text/javascript", ".ndjson": "application/x-ndjson"}
_KEPT: Final = "public, max-age=31536000, immutable"

router = APIRouter(include_in_schema=False)


@dataclass(frozen=True, slots=True)
class Asset:
    """A file as it is sent."""

    media_type: str
    content: bytes
    compressed: bytes


@dataclass(frozen=True, slots=True)
class Assets:
    """All files by name, and the digest of their content."""

    version: str
    files: dict[str, Asset]


@cache
def assets() -> Assets:
    """The assets of this installation."""
    contents = {
        path.relative_to(STATIC).as_posix(): path.read_bytes()
        for path in sorted(STATIC.rglob("*"))
        if path.suffix in {".js", ".svg", ".ndjson"}
    }
    contents[STYLE_SHEET] = b"\n".join(
        path.read_bytes() for path in sorted((STATIC / "css").glob("*.css"))
    )
    digest = blake2b(digest_size=8)
    for name, content in contents.items():
        digest.update(b"%s\0%d\0%s" % (name.encode(), len(content), content))
    return Assets(
        digest.hexdigest(), {name: _asset(name, content) for name, content in contents.items()}
    )


def address(name: str) -> str:
    """The path of an asset, without the prefix of a proxy.

    Raises:
        KeyError: there is none of that name.
    """
    found = assets()
    assert name in found.files, name
    return f"/static/{found.version}/{name}"


@router.head("/static/{version}/{name:path}")
@router.get("/static/{version}/{name:path}")
async def asset(
    version: str, name: str, accept_encoding: Annotated[str, Header()] = ""
) -> Response:
    """A file. One of another version is sent as it is now, and not kept."""
    found = assets().files.get(name)
    if found is None:
        raise HTTPException(404, "there is no such file")
    headers = {
        "Cache-Control": _KEPT if version == assets().version else "no-cache",
        "Vary": "Accept-Encoding",
        "X-Content-Type-Options": "nosniff",
    }
    if "gzip" not in accept_encoding:
        return Response(found.content, media_type=found.media_type, headers=headers)
    headers["Content-Encoding"] = "gzip"
    return Response(found.compressed, media_type=found.media_type, headers=headers)


def _asset(name: str, content: bytes) -> Asset:
    media_type = _TYPES.get(Path(name).suffix) or mimetypes.guess_type(name)[0]
    assert media_type is not None
    return Asset(media_type, content, gzip.compress(content, mtime=0))
