"""Every page, and what a browser is shown where there is none."""

from collections.abc import Awaitable, Callable
from typing import Any, Final

import orjson
from fastapi import APIRouter, FastAPI, Request
from starlette.responses import RedirectResponse, Response

from app.web import (
    annotators,
    assets,
    desk,
    export,
    labels,
    overview,
    projects,
    prompt_map,
    setup,
    sign_in,
)
from app.web.page_route import asks_for_html
from app.web.render import render
from app.web.viewer import SignInFirst

PAGES: Final = (
    assets,
    sign_in,
    desk,
    projects,
    overview,
    labels,
    prompt_map,
    annotators,
    export,
    setup,
)
Handler = Callable[[Request, Any], Awaitable[Response]]


def install(app: FastAPI) -> None:
    """Add all pages. They come before the API's calls: some have the same path.

    Errors have their handlers already; browsers see what these answer as a page.
    """
    router = APIRouter(include_in_schema=False)
    for page in PAGES:
        router.include_router(page.router)
    app.include_router(router)
    for kind, handler in list(app.exception_handlers.items()):
        app.add_exception_handler(kind, _as_page(handler))
    app.add_exception_handler(SignInFirst, _to_sign_in)


async def _to_sign_in(request: Request, error: Exception) -> Response:
    assert isinstance(error, SignInFirst)
    if "hx-request" in request.headers:
        # A part of a page: let the whole page be asked for, which leads to the sign-in and back.
        return Response(status_code=204, headers={"HX-Refresh": "true"})
    return RedirectResponse(request.scope.get("root_path", "") + error.location, 303)


def _as_page(handler: Any) -> Handler:
    async def answer(request: Request, error: Exception) -> Response:
        answered: Response = await handler(request, error)
        if not asks_for_html(request.scope):
            return answered
        problem = orjson.loads(answered.body)
        page = render(
            request,
            "error.html",
            status=answered.status_code,
            title=problem["title"],
            detail=problem["detail"],
        )
        for name in ("WWW-Authenticate", "Retry-After", "Allow"):
            if name in answered.headers:
                page.headers[name] = answered.headers[name]
        return page

    return answer
