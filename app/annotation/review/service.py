"""Look labels and pairs up.

Admins see all labels of a project. Annotators see their own, and nothing that could bias a later
judgement: neither where a response comes from nor what others said of it.
"""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Final

from sqlalchemy.ext.asyncio import AsyncSession

from app.accounts.service import Principal
from app.annotation.queries import review as queries
from app.annotation.queries.review import Span
from app.annotation.review.filters import LabelFilters
from app.annotation.schemas import (
    LabelCounts,
    LabelList,
    LabelView,
    LabelWithTexts,
    PairList,
    PairTexts,
    PairView,
)
from app.annotation.service import get_label
from app.annotation.views import label_view, pair_texts, pair_view
from app.errors import Forbidden, UnknownPair
from app.http.paging import Page
from app.projects import service as projects
from app.storage.ids import IdKind, decode

COUNTED_AT_MOST: Final = 10_000
"""Counting stops here."""


@dataclass(frozen=True, slots=True)
class _Search:
    """What to look for, and how far one request looks."""

    filters: LabelFilters
    span: Span
    until_id: int | None
    """The last label looked at; None: to the end."""


async def list_labels(
    session: AsyncSession,
    principal: Principal,
    project_name: str,
    filters: LabelFilters,
    page: Page,
    *,
    is_newest_first: bool,
    with_texts: bool,
) -> LabelList:
    """A page of a project's labels that meet the filters.

    Raises:
        UnknownProject: no project has that name, or it is not one of theirs.
        Forbidden: an annotator filters by what only admins may see.
    """
    search = await _begin(session, principal, project_name, filters, page, is_newest_first)
    if search is None:
        return LabelList(labels=[])
    numbers = await queries.list_labels(
        session, search.filters, search.span, limit=page.limit, until_id=search.until_id
    )
    rows = {row.Label.id: row for row in await queries.read_labels(session, numbers)}
    views = [
        label_view(rows[number], is_admin=principal.is_admin).model_dump(exclude_unset=True)
        for number in numbers
    ]
    if with_texts:
        pairs = {rows[number].Label.pair_id for number in numbers}
        texts = {
            row.Pair.id: PairTexts(**pair_texts(row, is_admin=principal.is_admin))
            for row in await queries.read_pairs(session, list(pairs))
        }
        for number, view in zip(numbers, views, strict=True):
            view["texts"] = texts[rows[number].Label.pair_id]
    return LabelList(
        labels=[LabelWithTexts(**view) for view in views],
        next_cursor=_next(page, numbers, search),
    )


async def list_pairs(
    session: AsyncSession,
    principal: Principal,
    project_name: str,
    filters: LabelFilters,
    page: Page,
    *,
    is_newest_first: bool = True,
) -> PairList:
    """A page of a project's pairs with a label that meets the filters, by that label's number.

    Raises:
        UnknownProject: no project has that name, or it is not one of theirs.
        Forbidden: an annotator filters by what only admins may see.
    """
    search = await _begin(session, principal, project_name, filters, page, is_newest_first)
    if search is None:
        return PairList(pairs=[])
    found = await queries.list_pairs(
        session, search.filters, search.span, limit=page.limit, until_id=search.until_id
    )
    return PairList(
        pairs=await _views(session, principal, [row.pair_id for row in found]),
        next_cursor=_next(page, [row.label_id for row in found], search),
    )


async def count_labels(
    session: AsyncSession, principal: Principal, project_name: str, filters: LabelFilters
) -> LabelCounts:
    """How many labels meet the filters, and how many of them are of each kind worth a look.

    Raises:
        UnknownProject: no project has that name, or it is not one of theirs.
        Forbidden: an annotator filters by what only admins may see.
    """
    project = await projects.find_project(session, project_name, principal)
    own = _own(principal, filters)
    if own is None:
        nothing = None if not principal.is_admin else 0
        return LabelCounts(
            labels=0, disagreements=nothing, reasons=0, edited=0, limit=COUNTED_AT_MOST
        )
    wanted = [replace(own, reason=True), replace(own, edited=True)]
    if principal.is_admin:
        wanted.append(replace(own, disagreement=True))
    is_all_that_counts = own == LabelFilters(status="counted", q=own.q)
    if not is_all_that_counts:
        wanted.append(own)
    reasons, edited, *rest = await queries.count_labels(
        session, project.id, wanted, limit=COUNTED_AT_MOST
    )
    labels = project.counted_labels if is_all_that_counts else rest.pop()
    return LabelCounts(
        labels=min(labels, COUNTED_AT_MOST),
        disagreements=rest[0] if rest else None,
        reasons=reasons,
        edited=edited,
        limit=COUNTED_AT_MOST,
    )


async def look_at_label(
    session: AsyncSession, principal: Principal, number: int | None
) -> LabelView:
    """A label.

    Raises:
        UnknownLabel: no label has that id, or it is somebody else's.
    """
    label = await get_label(session, principal, number)
    (row,) = await queries.read_labels(session, [label.id])
    return label_view(row, is_admin=principal.is_admin)


async def look_at_pair(session: AsyncSession, principal: Principal, pair_id: str) -> PairView:
    """A pair with what was said of it; for annotators, only one that they have labelled.

    Raises:
        UnknownPair: no pair has that id, or it is not one of theirs.
    """
    number = decode(IdKind.PAIR, pair_id)
    found = await _views(session, principal, [number]) if number else []
    if not found or not (principal.is_admin or found[0].labels):
        raise UnknownPair("no pair of yours has that id")
    return found[0]


async def _views(
    session: AsyncSession, principal: Principal, pair_ids: Sequence[int]
) -> list[PairView]:
    """Pairs as the principal sees them, in this order; those that do not exist are left out."""
    is_admin = principal.is_admin
    pairs = {row.Pair.id: row for row in await queries.read_pairs(session, pair_ids)}
    labels: dict[int, list[LabelView]] = {pair_id: [] for pair_id in pair_ids}
    annotator = None if is_admin else principal.name
    for row in await queries.labels_of_pairs(session, pair_ids, annotator):
        labels[row.Label.pair_id].append(label_view(row, is_admin=is_admin))
    return [
        pair_view(pairs[pair_id], labels[pair_id], is_admin=is_admin)
        for pair_id in pair_ids
        if pair_id in pairs
    ]


async def _begin(
    session: AsyncSession,
    principal: Principal,
    project_name: str,
    filters: LabelFilters,
    page: Page,
    is_newest_first: bool,
) -> _Search | None:
    """What to look for; None where an annotator asks for somebody else's labels."""
    project = await projects.find_project(session, project_name, principal)
    own = _own(principal, filters)
    if own is None:
        return None
    span = Span(project.id, page.after_id, is_newest_first)
    until_id = None if own.q is None else await queries.end_of_search(session, own, span)
    return _Search(own, span, until_id)


def _own(principal: Principal, filters: LabelFilters) -> LabelFilters | None:
    """The filters, with which annotators find only their own labels; None: they find nothing."""
    if principal.is_admin:
        return filters
    if filters.arm is not None or filters.disagreement is not None:
        raise Forbidden("filters by arm and disagreement need an admin's key")
    if filters.annotator not in (None, principal.name):
        return None
    return replace(filters, annotator=principal.name)


def _next(page: Page, numbers: Sequence[int], search: _Search) -> str | None:
    """The cursor of what comes after these labels, or after those that were searched."""
    if len(numbers) < page.limit and search.until_id is not None:
        return page.cursor_after(search.until_id)
    return page.next_cursor(list(numbers))
