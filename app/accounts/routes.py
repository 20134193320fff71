"""Accounts over HTTP, for admins.

``PATCH`` and ``DELETE /annotators/{name}`` are in ``annotation/routes.py``: a name stands in labels
too, and ``accounts`` may not import ``annotation``.
"""

from fastapi import APIRouter

from app.accounts import service
from app.accounts.dependencies import AdminKey
from app.accounts.schemas import AnnotatorList, AnnotatorWithKey, NewAnnotator, NewKey
from app.accounts.views import annotator_view
from app.http.json_route import JsonRoute
from app.http.paging import PageQuery
from app.http.problems import problems
from app.storage.sessions import Session

router = APIRouter(prefix="/annotators", route_class=JsonRoute, tags=["annotators"])


@router.post(
    "",
    status_code=201,
    summary="Add an annotator; its key is shown this once",
    responses=problems(401, 403, 409, 413, 415, 422),
)
async def create_annotator(new: NewAnnotator, session: Session, _: AdminKey) -> AnnotatorWithKey:
    """Add an annotator."""
    row, key = await service.create_annotator(session, new)
    shown = annotator_view(row).model_dump(exclude={"active", "created_at"})
    return AnnotatorWithKey(**shown, key=key)


@router.get("", summary="List annotators", responses=problems(401, 403, 422))
async def list_annotators(session: Session, page: PageQuery, _: AdminKey) -> AnnotatorList:
    """Annotators, oldest first."""
    rows = await service.list_annotators(session, after_id=page.after_id, limit=page.limit)
    return AnnotatorList(
        annotators=[annotator_view(row) for row in rows],
        next_cursor=page.next_cursor([row.annotator.id for row in rows]),
    )


@router.post(
    "/{name}/key",
    status_code=201,
    summary="Give an annotator a new key; the old one stops working",
    responses=problems(401, 403, 404, 422),
)
async def rotate_key(name: str, session: Session, _: AdminKey) -> NewKey:
    """A fresh key, shown this once."""
    return NewKey(key=await service.rotate_key(session, name))
