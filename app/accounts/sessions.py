"""Sessions: what a browser has instead of a key. They live in the database, so on every replica."""

import hashlib
import hmac
import secrets
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from typing import Final

from sqlalchemy.ext.asyncio import AsyncSession

from app.accounts import queries
from app.accounts.service import Principal, authenticate_key, hash_key, principal_of
from app.errors import Unauthenticated
from app.storage.notifications import Channel, notify

COOKIE_PREFIX: Final = "ab_session_"
KEPT: Final = timedelta(days=30)
"""How long a session lasts that outlives the browser's window."""
UNTIL_CLOSED: Final = timedelta(hours=24)
"""How long one lasts at most whose cookie goes when the browser is closed."""


@dataclass(frozen=True, slots=True)
class SignedIn:
    """A session that has just begun, with its token, which only the browser keeps."""

    principal: Principal
    token: str
    expires_at: datetime


async def sign_in(session: AsyncSession, key: str, *, keep: bool) -> SignedIn:
    """Begin a session for whoever has this key.

    Raises:
        Unauthenticated: nobody active has it.
    """
    principal = await authenticate_key(session, key)
    token = secrets.token_urlsafe(32)
    expires_at = await queries.insert_session(
        session,
        token_hash=hash_key(token),
        annotator_id=principal.id,
        key_hash=hash_key(key),
        lasts=KEPT if keep else UNTIL_CLOSED,
    )
    return SignedIn(replace(principal, csrf_token=csrf_token(token)), token, expires_at)


async def authenticate_session(session: AsyncSession, token: str) -> Principal:
    """Whose session has this token.

    Raises:
        Unauthenticated: it has ended, or there never was one.
    """
    found = await queries.find_by_token_hash(session, hash_key(token))
    if found is None:
        raise Unauthenticated("this session has ended; sign in again")
    return await principal_of(session, found, csrf_token=csrf_token(token))


async def sign_out(session: AsyncSession, token: str) -> None:
    """End the session with that token, if there is one, and its event streams."""
    annotator_id = await queries.delete_session(session, hash_key(token))
    if annotator_id is not None:
        await notify(session, Channel.ACCESS_CHANGED, str(annotator_id))


async def installation_id(session: AsyncSession) -> str:
    """What tells this installation from others on the same host: browsers share cookies there."""
    return await queries.installation_id(session, secrets.token_hex(4))


def csrf_token(token: str) -> str:
    """What requests of a session repeat in a header, which no other site can know."""
    return hmac.new(token.encode(), b"csrf", hashlib.sha256).hexdigest()
