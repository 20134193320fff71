"""Sessions, and the unit of work of a request."""

from collections.abc import AsyncIterator
from typing import Annotated

from fastapi import Depends, Request
from sqlalchemy.ext.asyncio import AsyncSession, async_sessionmaker

Sessions = async_sessionmaker[AsyncSession]


async def open_session(request: Request) -> AsyncIterator[AsyncSession]:
    """One transaction: committed after the handler, rolled back if it raised."""
    sessions: Sessions = request.app.state.sessions
    async with sessions.begin() as session:
        yield session


# The scope "function" ends the dependency, and so commits, before the answer is sent: no 201 is
# sent for data that could still be lost.
Session = Annotated[AsyncSession, Depends(open_session, scope="function")]
