"""What a route asks for to know who is there."""

from typing import Annotated

from fastapi import Depends, Request, Security
from fastapi.security import HTTPBearer
from sqlalchemy.ext.asyncio import AsyncEngine, AsyncSession

from app.accounts.service import Principal, authenticate, require_admin
from app.http.rate_limits import AUTHENTICATED

# Declared for the OpenAPI document alone; `authenticate` reads the header and answers for it.
_bearer = HTTPBearer(auto_error=False, scheme_name="key", description="`Bearer <key>`")


async def _principal(request: Request, _: Annotated[object, Security(_bearer)]) -> Principal:
    # A session of its own, given back at once: what waits or streams must hold no connection.
    # One statement needs no transaction around it.
    engine: AsyncEngine = request.app.state.autocommit_engine
    async with AsyncSession(engine) as session:
        principal = await authenticate(session, request.headers.get("authorization"))
    setattr(request.state, AUTHENTICATED, True)
    return principal


AnyKey = Annotated[Principal, Depends(_principal)]


def _admin(principal: AnyKey) -> Principal:
    return require_admin(principal)


AdminKey = Annotated[Principal, Depends(_admin)]
