"""Who may do what: keys, roles and membership of projects."""

import hashlib
import secrets
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Final

from sqlalchemy.ext.asyncio import AsyncSession

from app.accounts import queries
from app.accounts.queries import AnnotatorRow
from app.accounts.schemas import AnnotatorChange, NewAnnotator
from app.errors import (
    AdminNamed,
    AnnotatorInactive,
    FieldError,
    Forbidden,
    InvalidInput,
    LastAdmin,
    NameTaken,
    Unauthenticated,
    UnknownAnnotator,
)
from app.storage.notifications import Channel, notify
from app.storage.tables import Annotator

ADMIN_NAME = "admin"
INVITED_FOR: Final = timedelta(days=7)
"""How long an invitation is good."""
_KEY_PREFIX = "ab_"
_INVITATION_PREFIX = "inv_"


@dataclass(frozen=True, slots=True)
class Principal:
    """Whoever made the request: the annotator whose key, or whose session's cookie, it carries."""

    id: int
    name: str
    role: str
    all_projects: bool
    csrf_token: str | None = None
    """Of a session: what its unsafe requests must repeat. None with a key."""

    @property
    def is_admin(self) -> bool:
        """Whether everything is allowed."""
        return self.role == "admin"


def new_key() -> str:
    """A key of 256 random bits."""
    return _KEY_PREFIX + secrets.token_urlsafe(32)


def hash_key(key: str) -> bytes:
    """What is stored of a key. A random key needs neither a salt nor a slow hash."""
    return hashlib.sha256(key.encode("utf-8", "surrogateescape")).digest()


async def authenticate(session: AsyncSession, authorization: str | None) -> Principal:
    """Who sends this ``Authorization`` header.

    Raises:
        Unauthenticated: there is none, or nobody active has that key.
    """
    scheme, _, key = (authorization or "").partition(" ")
    if scheme.lower() != "bearer" or not key.strip():
        raise Unauthenticated("send your key as `Authorization: Bearer <key>`")
    return await authenticate_key(session, key.strip())


async def authenticate_key(session: AsyncSession, key: str) -> Principal:
    """Who has this key.

    Raises:
        Unauthenticated: nobody active has it.
    """
    found = await queries.find_by_key_hash(session, hash_key(key))
    if found is None:
        raise Unauthenticated("no active annotator has this key")
    return await principal_of(session, found)


async def principal_of(
    session: AsyncSession, found: queries.Who, *, csrf_token: str | None = None
) -> Principal:
    """Whoever was found by a key or a session; now and then, it is noted that they were seen."""
    if found.is_seen_anew:
        await queries.note_seen(session, found.id)
    return Principal(found.id, found.name, found.role, found.all_projects, csrf_token)


def require_admin(principal: Principal) -> Principal:
    """Let an admin through.

    Raises:
        Forbidden: the key is an annotator's.
    """
    if not principal.is_admin:
        raise Forbidden("this call needs an admin's key")
    return principal


async def may_see_project(session: AsyncSession, principal: Principal, project_id: int) -> bool:
    """Whether a project is one of the principal's."""
    if principal.is_admin or principal.all_projects:
        return True
    return await queries.is_member(session, principal.id, project_id)


async def list_annotators(
    session: AsyncSession, *, after_id: int, limit: int
) -> list[AnnotatorRow]:
    """A page of annotators with their projects, oldest first."""
    return await queries.list_annotators(session, after_id=after_id, limit=limit)


async def create_annotator(session: AsyncSession, new: NewAnnotator) -> tuple[AnnotatorRow, str]:
    """Add an annotator; gives its key, of which only a hash is stored.

    One that is to be invited has a key that nobody knows.

    Raises:
        NameTaken: somebody has that name, active or not.
        InvalidInput: a project does not exist.
    """
    chosen = await _project_ids(session, new.projects)
    await queries.lock_accounts(session)
    key = new_key()
    annotator = await queries.insert_annotator(
        session,
        name=new.name,
        role=new.role,
        key_hash=hash_key(key),
        all_projects=chosen is None,
    )
    if annotator is None:
        raise NameTaken("an annotator of that name exists")
    if chosen is not None:
        await queries.set_projects(session, annotator.id, chosen)
    return await _row(session, annotator.name), key


async def change_annotator(
    session: AsyncSession, name: str, change: AnnotatorChange
) -> AnnotatorRow:
    """Change role, projects or activity, as far as they are set in ``change``.

    Another name is given by ``annotation``, which has the labels.

    Raises:
        UnknownAnnotator: nobody has that name.
        LastAdmin: no active admin would be left.
        InvalidInput: a project does not exist, or ``role`` or ``active`` is null.
    """
    given = change.model_fields_set
    for field in ("role", "active"):
        if field in given and getattr(change, field) is None:
            error = FieldError(("body", field), "must not be null")
            raise InvalidInput(f"{field}: {error.msg}", errors=(error,))
    if "role" in given or "active" in given:
        await queries.lock_accounts(session)
    annotator = await _find(session, name)
    role = change.role or annotator.role
    active = annotator.active if change.active is None else change.active
    await _keep_an_admin(session, annotator, stays=role == "admin" and active)
    annotator.role, annotator.active = role, active
    await session.flush()
    await _announce(session, annotator)
    if not active:
        await queries.delete_invitation(session, annotator.id)
        await queries.expire_leases(session, annotator.id)
    if "projects" in given:
        chosen = await _project_ids(session, change.projects)
        await queries.set_projects(session, annotator.id, chosen)
    return await _row(session, name)


async def begin_renaming(session: AsyncSession, name: str, new_name: str) -> bool:
    """Let nobody else change accounts until the transaction ends; gives whether there is one.

    Raises:
        AdminNamed: the annotator ``admin`` keeps its name.
        NameTaken: somebody has the new name, active or not.
    """
    await queries.lock_accounts(session)
    if name == ADMIN_NAME:
        raise AdminNamed("the annotator `admin` keeps its name")
    if await queries.find_id(session, new_name) is not None:
        raise NameTaken("an annotator of that name exists")
    return await queries.find_id(session, name) is not None


async def lock_annotator(session: AsyncSession, name: str) -> Annotator:
    """An annotator's row: claims and labels of that annotator wait until the transaction ends.

    Raises:
        UnknownAnnotator: nobody has that name.
    """
    return await _find(session, name)


async def shut_out(session: AsyncSession, annotator: Annotator) -> None:
    """End an annotator's access for good: its key belongs to nobody. The row is locked.

    Raises:
        LastAdmin: no active admin would be left.
    """
    await _keep_an_admin(session, annotator, stays=False)
    annotator.active = False
    annotator.key_hash = hash_key(new_key())
    await session.flush()
    await _announce(session, annotator)
    await queries.delete_invitation(session, annotator.id)
    await queries.expire_leases(session, annotator.id)


async def invite(session: AsyncSession, name: str) -> tuple[str, datetime]:
    """Make an invitation for an annotator, in place of the one there is; and when it expires.

    Until it is used, the annotator's key stays as it is.

    Raises:
        UnknownAnnotator: nobody has that name.
        AnnotatorInactive: they must be let in first.
    """
    annotator = await _find(session, name)
    if not annotator.active:
        raise AnnotatorInactive("whoever is inactive is let in first, with `active: true`")
    token = _INVITATION_PREFIX + secrets.token_urlsafe(32)
    expires_at = await queries.set_invitation(session, annotator.id, hash_key(token), INVITED_FOR)
    return token, expires_at


async def accept_invitation(session: AsyncSession, token: str) -> str:
    """Exchange an invitation for a new key of its annotator, whose old one stops working.

    Raises:
        Unauthenticated: it has been used, replaced or taken back, or it has expired.
    """
    annotator = await queries.take_invitation(session, hash_key(token))
    if annotator is None:
        raise Unauthenticated("this invitation has been used or has expired; ask for another")
    return await _give_key(session, annotator)


async def rotate_key(session: AsyncSession, name: str) -> str:
    """Give an annotator a new key; the old one stops working.

    Raises:
        UnknownAnnotator: nobody has that name.
    """
    return await _give_key(session, await _find(session, name))


async def _give_key(session: AsyncSession, annotator: Annotator) -> str:
    key = new_key()
    annotator.key_hash = hash_key(key)
    await session.flush()
    await queries.delete_invitation(session, annotator.id)
    await _announce(session, annotator)
    return key


async def ensure_admin(session: AsyncSession, key: str | None) -> str | None:
    """Make the annotator ``admin`` if it is missing, and give it ``key`` (None: a new one).

    An existing admin keeps its key unless ``key`` is another one. Gives the key if it was set now.
    """
    annotator = await queries.lock_by_name(session, ADMIN_NAME)
    if annotator is None:
        chosen = key or new_key()
        made = await queries.insert_annotator(
            session,
            name=ADMIN_NAME,
            role="admin",
            key_hash=hash_key(chosen),
            all_projects=True,
        )
        if made is not None:
            return chosen
        annotator = await _find(session, ADMIN_NAME)
    if key is None or annotator.key_hash == hash_key(key):
        return None
    annotator.key_hash = hash_key(key)
    await session.flush()
    return key


async def _announce(session: AsyncSession, annotator: Annotator) -> None:
    """Let open event streams look at once whether they may go on."""
    await notify(session, Channel.ACCESS_CHANGED, str(annotator.id))


async def _find(session: AsyncSession, name: str) -> Annotator:
    annotator = await queries.lock_by_name(session, name)
    if annotator is None:
        raise UnknownAnnotator("no annotator has that name")
    return annotator


async def _row(session: AsyncSession, name: str) -> AnnotatorRow:
    (row,) = await queries.list_annotators(session, after_id=0, limit=1, name=name)
    return row


async def _keep_an_admin(session: AsyncSession, annotator: Annotator, *, stays: bool) -> None:
    was_admin = annotator.role == "admin" and annotator.active
    if was_admin and not stays and not await queries.has_other_active_admin(session, annotator.id):
        raise LastAdmin("the last active admin stays an active admin")


async def _project_ids(session: AsyncSession, names: Sequence[str] | None) -> list[int] | None:
    if names is None:
        return None
    known = await queries.project_ids(session, names)
    errors = tuple(
        FieldError(("body", "projects", number), "no project has that name")
        for number, name in enumerate(names)
        if name not in known
    )
    if errors:
        raise InvalidInput(f"projects: {errors[0].msg}", errors=errors)
    return sorted(known.values())
