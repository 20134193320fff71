"""Accounts as answers show them."""

from app.accounts.queries import AnnotatorRow
from app.accounts.schemas import AnnotatorView
from app.storage.ids import IdKind, encode


def annotator_view(row: AnnotatorRow) -> AnnotatorView:
    """An annotator, without its key."""
    annotator = row.annotator
    return AnnotatorView(
        id=encode(IdKind.ANNOTATOR, annotator.id),
        name=annotator.name,
        role="admin" if annotator.role == "admin" else "annotator",
        projects=row.projects,
        active=annotator.active,
        created_at=annotator.created_at,
        seen_at=annotator.seen_at,
        invited_until=row.invited_until,
    )
