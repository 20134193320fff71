"""What a route depends on to know who makes the request.

A request carries a key, or the cookie of a session. Browsers send cookies along with whatever
another site makes them ask for, so a request with a cookie must come from our own pages.
"""

import hmac
import math
from typing import Annotated, Final
from urllib.parse import urlsplit

from fastapi import Depends, FastAPI, Request, Security
from fastapi.security import HTTPBearer
from sqlalchemy.ext.asyncio import AsyncEngine, AsyncSession

from app.accounts.service import Principal, authenticate, require_admin
from app.accounts.sessions import COOKIE_PREFIX, authenticate_session, installation_id
from app.errors import CsrfTokenMissing, ForeignRequest, TooManyRequests, Unauthenticated
from app.http.middleware import AUTHENTICATED
from app.http.rate_limits import RateLimits, digest_of_key
from app.storage.sessions import Sessions

CSRF_HEADER: Final = "X-CSRF-Token"
_OWN_FETCH_SITES: Final = {"same-origin", "none"}

# Only for the OpenAPI document: `authenticate` reads the header itself.
_bearer = HTTPBearer(auto_error=False, scheme_name="key", description="`Bearer <key>`")


async def cookie_name(app: FastAPI) -> str:
    """The name of the cookie of this installation's sessions."""
    if not hasattr(app.state, "session_cookie"):
        sessions: Sessions = app.state.sessions
        async with sessions.begin() as session:
            app.state.session_cookie = COOKIE_PREFIX + await installation_id(session)
    name: str = app.state.session_cookie
    return name


async def session_token(request: Request) -> str | None:
    """The token in the cookie of this installation's session; None without one."""
    if not any(name.startswith(COOKIE_PREFIX) for name in request.cookies):
        return None
    return request.cookies.get(await cookie_name(request.app))


def refuse_foreign(request: Request) -> None:
    """Refuse what another site made the browser ask for.

    Raises:
        ForeignRequest: the browser says so.
    """
    site = request.headers.get("sec-fetch-site")
    origin = request.headers.get("origin")
    is_ours = site in _OWN_FETCH_SITES if site else True
    # Behind a proxy that changes the host, only `Sec-Fetch-Site` tells; plain HTTP has only this.
    if origin is not None and site is None:
        is_ours = urlsplit(origin).netloc == request.headers.get("host")
    if not is_ours:
        raise ForeignRequest("another site made this request")


async def identify(request: Request) -> Principal:
    """Whose key or session a request carries; a key goes first.

    Raises:
        Unauthenticated: it carries neither, or nobody active has it.
    """
    authorization = request.headers.get("authorization")
    token = None if authorization else await session_token(request)
    async with _one_statement(request) as session:
        if token is None:
            return await authenticate(session, authorization)
        return await authenticate_session(session, token)


async def page_principal(request: Request) -> Principal | None:
    """Who is signed in, for a page; None if nobody is."""
    token = await session_token(request)
    if token is None:
        return None
    async with _one_statement(request) as session:
        try:
            return await authenticate_session(session, token)
        except Unauthenticated:
            return None


def _one_statement(request: Request) -> AsyncSession:
    """A session of its own, closed at once: who waits or streams must hold no connection.

    One statement needs no transaction.
    """
    engine: AsyncEngine = request.app.state.autocommit_engine
    return AsyncSession(engine)


async def _reader(request: Request, _: Annotated[object, Security(_bearer)]) -> Principal:
    principal = await identify(request)
    if principal.csrf_token is not None:
        refuse_foreign(request)
        await _limit_rate(request, principal.csrf_token)
    setattr(request.state, AUTHENTICATED, True)
    return principal


async def _limit_rate(request: Request, session: str) -> None:
    """Count a session's request as a key's is counted; guesses at sessions need no limit.

    Raises:
        TooManyRequests: the session has made too many in this minute.
    """
    limits: RateLimits = request.app.state.rate_limits
    wait = await limits.seconds_until_room(digest_of_key(session.encode()))
    if wait is not None:
        raise TooManyRequests(
            "this session has made too many requests in this minute",
            retry_after=max(1, math.ceil(wait)),
        )


AnyReader = Annotated[Principal, Depends(_reader)]
"""Whoever asks for what a link or a script cannot add a header to: event streams, downloads."""


def _principal(request: Request, principal: AnyReader) -> Principal:
    if principal.csrf_token is not None:
        sent = request.headers.get(CSRF_HEADER, "")
        if not hmac.compare_digest(sent.encode(), principal.csrf_token.encode()):
            raise CsrfTokenMissing(f"send the token of `GET /session` as `{CSRF_HEADER}`")
    return principal


AnyKey = Annotated[Principal, Depends(_principal)]


def _admin(principal: AnyKey) -> Principal:
    return require_admin(principal)


AdminKey = Annotated[Principal, Depends(_admin)]


def _admin_reader(principal: AnyReader) -> Principal:
    return require_admin(principal)


AdminReader = Annotated[Principal, Depends(_admin_reader)]
