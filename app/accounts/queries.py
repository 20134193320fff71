"""All SQL of the accounts room."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Final

from sqlalchemy import (
    ColumnElement,
    Row,
    and_,
    bindparam,
    delete,
    func,
    select,
    text,
    true,
    update,
)
from sqlalchemy.dialects.postgresql import insert
from sqlalchemy.ext.asyncio import AsyncSession

from app.storage import predicates
from app.storage.tables import (
    Annotator,
    AnnotatorProject,
    Assignment,
    BrowserSession,
    Installation,
    Invitation,
    Project,
)

_ACCOUNTS_LOCK = 0x61646D69  # "admi": one transaction at a time adds, renames or removes somebody


@dataclass(frozen=True, slots=True)
class AnnotatorRow:
    """An annotator, the names of its projects (None: all), and when its invitation expires."""

    annotator: Annotator
    projects: list[str] | None
    invited_until: datetime | None


_SEEN_EVERY: Final = timedelta(minutes=5)
"""So often is it written that somebody was seen, and no more: it is a write beside a read."""

_IS_SEEN_ANEW = func.coalesce(Annotator.seen_at < func.clock_timestamp() - _SEEN_EVERY, True).label(
    "is_seen_anew"
)
_WHO = (Annotator.id, Annotator.name, Annotator.role, Annotator.all_projects, _IS_SEEN_ANEW)
Who = Row[int, str, str, bool, bool]
"""Number, name, role and ``all_projects`` of an annotator, and whether to note that it was seen."""

# Served by the unique index on key_hash; built once, for every request.
_BY_KEY_HASH = select(*_WHO).where(Annotator.key_hash == bindparam("key_hash"), Annotator.active)


# Served by the primary keys. A session ends with the key that it began with.
_BY_TOKEN_HASH = (
    select(*_WHO)
    .join(BrowserSession, BrowserSession.annotator_id == Annotator.id)
    .where(
        BrowserSession.token_hash == bindparam("token_hash"),
        BrowserSession.key_hash == Annotator.key_hash,
        BrowserSession.expires_at > func.clock_timestamp(),
        Annotator.active,
    )
)


async def find_by_key_hash(session: AsyncSession, key_hash: bytes) -> Who | None:
    """The active annotator with that key."""
    return (await session.execute(_BY_KEY_HASH, {"key_hash": key_hash})).one_or_none()


async def note_seen(session: AsyncSession, annotator_id: int) -> None:
    """Write that an annotator is here now; where its row is locked, the next request will."""
    free = (
        select(Annotator.id)
        .where(Annotator.id == annotator_id, _IS_SEEN_ANEW)
        .with_for_update(key_share=True, skip_locked=True)
    )
    await session.execute(
        update(Annotator)
        .where(Annotator.id == free.scalar_subquery())
        .values(seen_at=func.clock_timestamp())
    )


async def lock_by_name(session: AsyncSession, name: str) -> Annotator | None:
    """The annotator of that name, its row locked."""
    return await session.scalar(select(Annotator).where(Annotator.name == name).with_for_update())


async def insert_annotator(
    session: AsyncSession, *, name: str, role: str, key_hash: bytes, all_projects: bool
) -> Annotator | None:
    """Add an annotator; None if the name is taken."""
    return await session.scalar(
        insert(Annotator)
        .values(name=name, role=role, key_hash=key_hash, all_projects=all_projects)
        .on_conflict_do_nothing(index_elements=[Annotator.name])
        .returning(Annotator)
    )


async def list_annotators(
    session: AsyncSession, *, after_id: int, limit: int, name: str | None = None
) -> list[AnnotatorRow]:
    """A page of annotators by id, or the one of that name."""
    members = (
        select(func.array_agg(Project.name).label("names"))
        .join(AnnotatorProject, AnnotatorProject.project_id == Project.id)
        .where(AnnotatorProject.annotator_id == Annotator.id)
        .lateral()
    )
    chosen: ColumnElement[bool] = Annotator.id > after_id
    if name is not None:
        chosen &= Annotator.name == name
    rows = await session.execute(
        select(Annotator, members.c.names, Invitation.expires_at.label("invited_until"))
        .select_from(Annotator)
        .join(members, true())
        .outerjoin(
            Invitation,
            and_(
                Invitation.annotator_id == Annotator.id,
                Invitation.expires_at > func.clock_timestamp(),
            ),
        )
        .where(chosen)
        .order_by(Annotator.id)
        .limit(limit)
        .execution_options(populate_existing=True)
    )
    return [
        AnnotatorRow(
            row.Annotator,
            None if row.Annotator.all_projects else sorted(row.names or []),
            row.invited_until,
        )
        for row in rows
    ]


async def is_member(session: AsyncSession, annotator_id: int, project_id: int) -> bool:
    """Whether an annotator without ``all_projects`` may see a project."""
    key = (annotator_id, project_id)
    return await session.get(AnnotatorProject, key, populate_existing=True) is not None


async def project_ids(session: AsyncSession, names: Sequence[str]) -> dict[str, int]:
    """The numbers of the projects of these names; unknown names are left out."""
    rows = await session.execute(select(Project.name, Project.id).where(Project.name.in_(names)))
    return {row.name: row.id for row in rows}


async def set_projects(
    session: AsyncSession, annotator_id: int, project_ids: Sequence[int] | None
) -> None:
    """Replace the annotator's projects by these (None: all)."""
    await session.execute(
        delete(AnnotatorProject).where(AnnotatorProject.annotator_id == annotator_id)
    )
    if project_ids:
        await session.execute(
            insert(AnnotatorProject),
            [{"annotator_id": annotator_id, "project_id": number} for number in project_ids],
        )
    await session.execute(
        update(Annotator)
        .where(Annotator.id == annotator_id)
        .values(all_projects=project_ids is None)
    )


async def lock_accounts(session: AsyncSession) -> None:
    """Wait until no other transaction is adding, renaming or removing somebody."""
    await session.execute(select(func.pg_advisory_xact_lock(_ACCOUNTS_LOCK)))


async def find_id(session: AsyncSession, name: str) -> int | None:
    """The number of the annotator of that name."""
    return await session.scalar(select(Annotator.id).where(Annotator.name == name))


async def has_other_active_admin(session: AsyncSession, annotator_id: int) -> bool:
    """Whether an active admin would be left without this annotator."""
    other = await session.scalar(
        select(Annotator.id)
        .where(Annotator.role == "admin", Annotator.active, Annotator.id != annotator_id)
        .limit(1)
    )
    return other is not None


async def expire_leases(session: AsyncSession, annotator_id: int) -> None:
    """End the leases of everything that an annotator holds, so that the next claim may take it."""
    await session.execute(
        update(Assignment)
        .where(Assignment.annotator_id == annotator_id, text(predicates.HELD_ASSIGNMENT))
        .values(expires_at=func.clock_timestamp())
    )


async def find_by_token_hash(session: AsyncSession, token_hash: bytes) -> Who | None:
    """``find_by_key_hash``, by the token of a session that has not ended."""
    return (await session.execute(_BY_TOKEN_HASH, {"token_hash": token_hash})).one_or_none()


async def insert_session(
    session: AsyncSession,
    *,
    token_hash: bytes,
    annotator_id: int,
    key_hash: bytes,
    lasts: timedelta,
) -> datetime:
    """Begin a session, and delete those that have expired; gives when it will."""
    await session.execute(
        delete(BrowserSession).where(BrowserSession.expires_at < func.clock_timestamp())
    )
    added = (
        insert(BrowserSession)
        .values(
            token_hash=token_hash,
            annotator_id=annotator_id,
            key_hash=key_hash,
            expires_at=func.clock_timestamp() + lasts,
        )
        .returning(BrowserSession.expires_at)
    )
    expires_at: datetime = (await session.execute(added)).scalar_one()
    return expires_at


async def delete_session(session: AsyncSession, token_hash: bytes) -> int | None:
    """End the session with that token; gives whose it was, or None if there is none."""
    return await session.scalar(
        delete(BrowserSession)
        .where(BrowserSession.token_hash == token_hash)
        .returning(BrowserSession.annotator_id)
    )


async def set_invitation(
    session: AsyncSession, annotator_id: int, token_hash: bytes, lasts: timedelta
) -> datetime:
    """Give an annotator an invitation in place of the one it has; gives when it expires."""
    values = {"token_hash": token_hash, "expires_at": func.clock_timestamp() + lasts}
    stored = (
        insert(Invitation)
        .values(annotator_id=annotator_id, **values)
        .on_conflict_do_update(index_elements=[Invitation.annotator_id], set_=values)
        .returning(Invitation.expires_at)
    )
    expires_at: datetime = (await session.execute(stored)).scalar_one()
    return expires_at


async def delete_invitation(session: AsyncSession, annotator_id: int) -> None:
    """Take an annotator's invitation back, if it has one."""
    await session.execute(delete(Invitation).where(Invitation.annotator_id == annotator_id))


async def take_invitation(session: AsyncSession, token_hash: bytes) -> Annotator | None:
    """Use an invitation up; gives its annotator, the row locked. None: it is no good (any more)."""
    taken = (
        delete(Invitation)
        .where(Invitation.token_hash == token_hash, Invitation.expires_at > func.clock_timestamp())
        .returning(Invitation.annotator_id)
    )
    annotator_id = await session.scalar(taken)
    if annotator_id is None:
        return None
    return await session.scalar(
        select(Annotator)
        .where(Annotator.id == annotator_id, Annotator.active)
        .with_for_update()
        .execution_options(populate_existing=True)
    )


async def installation_id(session: AsyncSession, new_id: str) -> str:
    """The installation's id: ``new_id`` if it has none yet."""
    found = await session.scalar(select(Installation.id))
    if found is None:
        await session.execute(insert(Installation).values(id=new_id).on_conflict_do_nothing())
        found = (await session.execute(select(Installation.id))).scalar_one()
    return found
