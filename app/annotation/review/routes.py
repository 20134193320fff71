"""Labels and pairs over HTTP, to look at and to correct."""

from typing import Annotated, Literal

from fastapi import APIRouter, Depends, Query, Request, Response

from app.accounts.dependencies import AdminKey, AnyKey
from app.annotation.review import service
from app.annotation.review.correction import correct_pair
from app.annotation.review.filters import LabelFilters
from app.annotation.schemas import (
    CorrectedPair,
    Correction,
    LabelCounts,
    LabelList,
    LabelView,
    PairList,
    PairView,
)
from app.annotation.views import stored_label
from app.http.json_route import JsonRoute
from app.http.paging import PageQuery
from app.http.problems import problems
from app.projects.schemas import ProjectQuery
from app.projects.views import ledger_view
from app.settings import DEFAULT_PROJECT
from app.storage.ids import IdKind, decode
from app.storage.notifications import LedgerAnnouncer
from app.storage.sessions import Session

router = APIRouter(route_class=JsonRoute, tags=["annotation"])

Filters = Annotated[LabelFilters, Depends()]
Order = Literal["oldest", "newest"]


@router.get(
    "/labels",
    summary="List labels",
    responses=problems(401, 403, 404, 422),
    response_model_exclude_unset=True,
)
async def list_labels(
    session: Session,
    principal: AnyKey,
    page: PageQuery,
    filters: Filters,
    project: ProjectQuery = DEFAULT_PROJECT,
    order: Annotated[Order, Query(description="Which come first")] = "oldest",
    texts: Annotated[
        bool, Query(description="With the prompt and the two responses of each label")
    ] = False,
) -> LabelList:
    """Labels that meet all filters: an annotator's own; all of them for an admin.

    A search answers with what it found in 10,000 labels, which may be nothing: go on with
    `next_cursor` until it is null.
    """
    return await service.list_labels(
        session,
        principal,
        project,
        filters,
        page,
        is_newest_first=order == "newest",
        with_texts=texts,
    )


@router.get("/labels/counts", summary="Count labels", responses=problems(401, 403, 404, 422))
async def count_labels(
    session: Session,
    principal: AnyKey,
    filters: Filters,
    project: ProjectQuery = DEFAULT_PROJECT,
) -> LabelCounts:
    """How many labels meet all filters but `q`, and how many of them are worth a look.

    Counting stops at `limit`, so that it stays quick: a count of that number means as many or more.
    """
    return await service.count_labels(session, principal, project, filters)


@router.get(
    "/labels/{label_id}",
    summary="Look at a label",
    responses=problems(401, 404, 422),
    response_model_exclude_unset=True,
)
async def get_label(label_id: str, session: Session, principal: AnyKey) -> LabelView:
    """A label: an annotator's own, or anybody's for an admin."""
    return await service.look_at_label(session, principal, decode(IdKind.LABEL, label_id))


@router.get(
    "/pairs",
    summary="List labelled pairs",
    responses=problems(401, 403, 404, 422),
    response_model_exclude_unset=True,
)
async def list_pairs(
    session: Session,
    principal: AnyKey,
    page: PageQuery,
    filters: Filters,
    project: ProjectQuery = DEFAULT_PROJECT,
    order: Annotated[Order, Query(description="Whose label comes first")] = "newest",
) -> PairList:
    """Pairs with a label that meets all filters, each with its texts and all that was said of it.

    For annotators: pairs that they have labelled, with their own labels.
    """
    return await service.list_pairs(
        session, principal, project, filters, page, is_newest_first=order == "newest"
    )


@router.get(
    "/pairs/{pair_id}",
    summary="Look at a pair",
    responses=problems(401, 404, 422),
    response_model_exclude_unset=True,
)
async def get_pair(pair_id: str, session: Session, principal: AnyKey) -> PairView:
    """A pair and all that was said of it; for annotators, one that they have labelled."""
    return await service.look_at_pair(session, principal, pair_id)


@router.post(
    "/pairs/{pair_id}/correction",
    status_code=201,
    summary="Answer a pair in place of others",
    responses={
        200: {"model": CorrectedPair, "description": "The same correction was made already"},
        **problems(401, 403, 404, 409, 413, 415, 422),
    },
    response_model_exclude_unset=True,
)
async def post_correction(
    pair_id: str,
    sent: Correction,
    request: Request,
    response: Response,
    session: Session,
    principal: AdminKey,
) -> CorrectedPair:
    """Withdraw labels of the pair and record your own, in one step: all of it or nothing.

    Your label takes the room and the budget that the withdrawn ones leave.
    """
    settlement = await correct_pair(session, principal, decode(IdKind.PAIR, pair_id), sent)
    announcer: LedgerAnnouncer = request.app.state.announcer
    announcer.note(settlement.project.id)
    if not settlement.created:
        response.status_code = 200
    return CorrectedPair(
        label=stored_label(settlement.labels[0]),
        pair=await service.look_at_pair(session, principal, pair_id),
        ledger=ledger_view(settlement.project),
    )
