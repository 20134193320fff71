"""Sessions over HTTP: how a browser signs in and out."""

import math
from typing import Final

from fastapi import APIRouter, Request, Response

from app.accounts import sessions
from app.accounts.dependencies import (
    AnyKey,
    cookie_name,
    page_principal,
    refuse_foreign,
    session_token,
)
from app.accounts.schemas import NoSession, SessionView, SignIn
from app.accounts.service import Principal, accept_invitation
from app.errors import TooManyRequests, Unauthenticated
from app.http.json_route import JsonRoute
from app.http.problems import problems
from app.http.rate_limits import RateLimits, digest_of_key
from app.storage.sessions import Session

router = APIRouter(prefix="/session", route_class=JsonRoute, tags=["session"])

_NEVER_CACHED: Final = {"Cache-Control": "no-store"}


@router.post(
    "",
    status_code=201,
    summary="Sign in: a cookie in exchange for a key or an invitation",
    responses=problems(401, 403, 413, 415, 422, 429),
    response_model_exclude_unset=True,
)
async def sign_in(
    request: Request, response: Response, sent: SignIn, session: Session
) -> SessionView:
    """Begin a session, in place of the one that this browser had.

    An invitation is used up, and answered with the annotator's new `key`. Wrong ones count against
    the address that sends them, as wrong keys in `Authorization` do.
    """
    refuse_foreign(request)
    begun, key = await _sign_in(request, sent, session)
    former = await session_token(request)
    if former is not None:
        await sessions.sign_out(session, former)
    response.headers.update(_NEVER_CACHED)
    response.set_cookie(
        await cookie_name(request.app),
        begun.token,
        max_age=int(sessions.KEPT.total_seconds()) if sent.keep else None,
        path=_cookie_path(request),
        secure=request.url.scheme == "https",
        httponly=True,
        samesite="strict",
    )
    return _view(begun.principal, **({"key": key} if sent.invitation else {}))


@router.get(
    "",
    summary="Who is signed in",
    responses=problems(403, 429, 503),
    response_model_exclude={"key"},
)
async def get_session(request: Request, response: Response) -> SessionView | NoSession:
    """Whose session the cookie is of; nulls where there is none, or it has ended.

    Other calls need its `csrf_token`; this one does not.
    """
    refuse_foreign(request)
    response.headers.update(_NEVER_CACHED)
    principal = await page_principal(request)
    return NoSession() if principal is None else _view(principal)


@router.delete("", status_code=204, summary="Sign out", responses=problems(401, 403))
async def sign_out(request: Request, session: Session, _: AnyKey) -> Response:
    """End the session, on every replica at once."""
    token = await session_token(request)
    if token is not None:
        await sessions.sign_out(session, token)
    response = Response(status_code=204)
    response.delete_cookie(await cookie_name(request.app), path=_cookie_path(request))
    return response


async def _sign_in(
    request: Request, sent: SignIn, session: Session
) -> tuple[sessions.SignedIn, str]:
    """The session, and the key that it began with."""
    limits: RateLimits = request.app.state.rate_limits
    address = request.client.host if request.client else "unknown"
    digest = digest_of_key(f"Bearer {sent.secret}".encode())
    wait = await limits.seconds_to_wait(digest, address, is_counted=True)
    if wait is not None:
        raise TooManyRequests(
            "this key, or this address, has made too many requests in this minute",
            retry_after=max(1, math.ceil(wait)),
        )
    try:
        key = sent.secret
        if sent.invitation is not None:
            key = await accept_invitation(session, key)
        begun = await sessions.sign_in(session, key, keep=sent.keep)
    except Unauthenticated:
        await limits.rejected(digest, address)
        raise
    limits.accepted(digest)
    return begun, key


def _cookie_path(request: Request) -> str:
    path: str = request.scope.get("root_path", "") or "/"
    return path


def _view(principal: Principal, **key: str) -> SessionView:
    assert principal.csrf_token is not None
    return SessionView(
        name=principal.name,
        role="admin" if principal.is_admin else "annotator",
        csrf_token=principal.csrf_token,
        **key,
    )
