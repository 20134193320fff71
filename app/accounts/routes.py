"""Accounts over HTTP, for admins."""

from fastapi import APIRouter, Response

from app.accounts import queries, service
from app.accounts.dependencies import AdminKey
from app.accounts.queries import AnnotatorRow
from app.accounts.schemas import (
    AnnotatorChange,
    AnnotatorList,
    AnnotatorView,
    AnnotatorWithKey,
    NewAnnotator,
    NewKey,
)
from app.http.json_route import JsonRoute
from app.http.paging import PageQuery
from app.http.problems import problems
from app.storage.ids import IdKind, encode
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
    return AnnotatorWithKey(**_view(row).model_dump(exclude={"active", "created_at"}), key=key)


@router.get("", summary="List annotators", responses=problems(401, 403, 422))
async def list_annotators(session: Session, page: PageQuery, _: AdminKey) -> AnnotatorList:
    """Annotators, oldest first."""
    rows = await queries.list_annotators(session, after_id=page.after_id, limit=page.limit)
    return AnnotatorList(
        annotators=[_view(row) for row in rows],
        next_cursor=page.next_cursor([row.annotator.id for row in rows]),
    )


@router.patch(
    "/{name}",
    summary="Change an annotator's role, projects or activity",
    responses=problems(401, 403, 404, 409, 413, 415, 422),
)
async def change_annotator(
    name: str, change: AnnotatorChange, session: Session, _: AdminKey
) -> AnnotatorView:
    """Change an annotator; what is left out stays."""
    return _view(await service.change_annotator(session, name, change))


@router.post(
    "/{name}/key",
    status_code=201,
    summary="Give an annotator a new key; the old one stops working",
    responses=problems(401, 403, 404, 422),
)
async def rotate_key(name: str, session: Session, _: AdminKey) -> NewKey:
    """A fresh key, shown this once."""
    return NewKey(key=await service.rotate_key(session, name))


@router.delete(
    "/{name}",
    status_code=204,
    summary="Deactivate an annotator",
    responses=problems(401, 403, 404, 409, 422),
)
async def deactivate_annotator(name: str, session: Session, _: AdminKey) -> Response:
    """The key stops working at once and held assignments are released. Labels stay."""
    await service.change_annotator(session, name, AnnotatorChange(active=False))
    return Response(status_code=204)


def _view(row: AnnotatorRow) -> AnnotatorView:
    annotator = row.annotator
    return AnnotatorView(
        id=encode(IdKind.ANNOTATOR, annotator.id),
        name=annotator.name,
        role="admin" if annotator.role == "admin" else "annotator",
        projects=row.projects,
        active=annotator.active,
        created_at=annotator.created_at,
    )
