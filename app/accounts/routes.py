"""Accounts over HTTP, for admins.

``PATCH`` and ``DELETE /annotators/{name}`` are in ``annotation/routes.py``: a name stands in labels
too, and ``accounts`` may not import ``annotation``.
"""

from fastapi import APIRouter

from app.accounts import service
from app.accounts.dependencies import AdminKey
from app.accounts.schemas import (
    AnnotatorList,
    AnnotatorWithKey,
    NewAnnotator,
    NewInvitation,
    NewKey,
)
from app.accounts.views import annotator_view
from app.http.json_route import JsonRoute
from app.http.paging import PageQuery
from app.http.problems import problems
from app.storage.sessions import Session

router = APIRouter(prefix="/annotators", route_class=JsonRoute, tags=["annotators"])


@router.post(
    "",
    status_code=201,
    summary="Add an annotator; its key or invitation is shown this once",
    responses=problems(401, 403, 409, 413, 415, 422),
    response_model_exclude_unset=True,
)
async def create_annotator(new: NewAnnotator, session: Session, _: AdminKey) -> AnnotatorWithKey:
    """Add an annotator, with a key, or with an invitation that they exchange for it."""
    row, key = await service.create_annotator(session, new)
    shown = annotator_view(row).model_dump(include={"id", "name", "role", "projects"})
    if not new.invite:
        return AnnotatorWithKey(**shown, key=key)
    invitation, expires_at = await service.invite(session, new.name)
    return AnnotatorWithKey(**shown, invitation=invitation, expires_at=expires_at)


@router.get("", summary="List annotators", responses=problems(401, 403, 422))
async def list_annotators(session: Session, page: PageQuery, _: AdminKey) -> AnnotatorList:
    """Annotators, oldest first."""
    rows = await service.list_annotators(session, after_id=page.after_id, limit=page.limit)
    return AnnotatorList(
        annotators=[annotator_view(row) for row in rows],
        next_cursor=page.next_cursor([row.annotator.id for row in rows]),
    )


@router.post(
    "/{name}/invitation",
    status_code=201,
    summary="Invite an annotator to take a new key",
    responses=problems(401, 403, 404, 409, 422),
)
async def invite(name: str, session: Session, _: AdminKey) -> NewInvitation:
    """An invitation, good for seven days and once, in place of the one before.

    `POST /session` takes it. The annotator's key works until then.
    """
    invitation, expires_at = await service.invite(session, name)
    return NewInvitation(invitation=invitation, expires_at=expires_at)


@router.post(
    "/{name}/key",
    status_code=201,
    summary="Give an annotator a new key; the old one stops working",
    responses=problems(401, 403, 404, 422),
)
async def rotate_key(name: str, session: Session, _: AdminKey) -> NewKey:
    """A fresh key, shown this once."""
    return NewKey(key=await service.rotate_key(session, name))
