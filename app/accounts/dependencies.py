"""What a route depends on to know who makes the request."""

from typing import Annotated

from fastapi import Depends, Request, Security
from fastapi.security import HTTPBearer
from sqlalchemy.ext.asyncio import AsyncEngine, AsyncSession

from app.accounts.service import Principal, authenticate, require_admin
from app.http.middleware import AUTHENTICATED

# Only for the OpenAPI document: `authenticate` reads the header itself.
_bearer = HTTPBearer(auto_error=False, scheme_name="key", description="`Bearer <key>`")


async def _principal(request: Request, _: Annotated[object, Security(_bearer)]) -> Principal:
    # A session of its own, closed at once: a request that waits or streams must hold no connection.
    # One statement needs no transaction.
    engine: AsyncEngine = request.app.state.autocommit_engine
    async with AsyncSession(engine) as session:
        principal = await authenticate(session, request.headers.get("authorization"))
    setattr(request.state, AUTHENTICATED, True)
    return principal


AnyKey = Annotated[Principal, Depends(_principal)]


def _admin(principal: AnyKey) -> Principal:
    return require_admin(principal)


AdminKey = Annotated[Principal, Depends(_admin)]
