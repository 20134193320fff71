"""Every page, and how browsers are answered when a page cannot be shown."""

from typing import Final

from fastapi import APIRouter, FastAPI, Request
from starlette.responses import RedirectResponse, Response

from app.web import assets
from app.web.viewer import SignInFirst

PAGES: Final = (assets,)


def install(app: FastAPI) -> None:
    """Add all pages. They come before the API's calls: some have the same path."""
    router = APIRouter(include_in_schema=False)
    for page in PAGES:
        router.include_router(page.router)
    app.include_router(router)
    app.add_exception_handler(SignInFirst, _to_sign_in)


async def _to_sign_in(request: Request, error: Exception) -> Response:
    assert isinstance(error, SignInFirst)
    return RedirectResponse(request.scope.get("root_path", "") + error.location, 303)
