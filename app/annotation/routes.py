"""Claims, labels, and changes of projects and annotators over HTTP."""

import time
from typing import Annotated

from fastapi import APIRouter, Query, Request, Response

from app.accounts.dependencies import AdminKey, AnyKey
from app.accounts.schemas import AnnotatorChange, AnnotatorView, NameOfLabels
from app.accounts.service import require_admin
from app.annotation import renaming, service, views
from app.annotation.claim import Claim, ClaimRequest, Status, claim_pairs
from app.annotation.imported_labels import take_imported_labels
from app.annotation.review.routes import router as review
from app.annotation.schemas import (
    LabelsBody,
    NewLabel,
    NewLabels,
    NextPairs,
    StoredLabels,
)
from app.annotation.settle import settle_labels
from app.annotation.undo import withdraw_label
from app.errors import FieldError, InvalidInput
from app.http.json_route import JsonRoute
from app.http.problems import problems
from app.projects.schemas import ProjectChange, ProjectQuery, ProjectView
from app.projects.views import ledger_view, project_view
from app.settings import (
    DEFAULT_PROJECT,
    MAX_LEASE_SECONDS,
    MAX_PAIRS_PER_CLAIM,
    MAX_WAIT_SECONDS,
    MIN_LEASE_SECONDS,
)
from app.storage.ids import IdKind, decode
from app.storage.notifications import Channel, LedgerAnnouncer, Listener
from app.storage.sessions import Session, Sessions
from app.storage.tables import Project

router = APIRouter(route_class=JsonRoute, tags=["annotation"])

router.include_router(review)

_POLL_SECONDS = 1.0


@router.get(
    "/next-pairs",
    summary="The most informative pairs to annotate",
    responses=problems(401, 404, 422),
    response_model_exclude_unset=True,
)
async def next_pairs(
    request: Request,
    response: Response,
    principal: AnyKey,
    project: ProjectQuery = DEFAULT_PROJECT,
    budget: Annotated[
        int, Query(ge=1, le=MAX_PAIRS_PER_CLAIM, description="At most this many pairs")
    ] = 1,
    wait: Annotated[
        float,
        Query(ge=0, le=MAX_WAIT_SECONDS, description="Seconds to wait if there is nothing yet"),
    ] = 0,
    lease_seconds: Annotated[int | None, Query(ge=MIN_LEASE_SECONDS, le=MAX_LEASE_SECONDS)] = None,
) -> NextPairs:
    """What the annotator holds already comes first; new pairs are reserved against the budget."""
    response.headers["Cache-Control"] = "no-store"
    wanted = ClaimRequest(principal, project, budget, lease_seconds)
    claim = await _claim_or_wait(request, wanted, wait_seconds=wait)
    request.state.claim_status = claim.status.value  # for the metrics
    _note_change(request, claim.project)
    return views.next_pairs(claim, is_admin=principal.is_admin)


async def _claim_or_wait(request: Request, wanted: ClaimRequest, *, wait_seconds: float) -> Claim:
    """Claim. If there is nothing yet, wait for the plan to change, without a connection."""
    sessions: Sessions = request.app.state.sessions
    listener: Listener = request.app.state.listener
    deadline = time.monotonic() + wait_seconds
    with listener.subscribe(Channel.PLAN_CHANGED) as plan_changed:
        while True:
            async with sessions.begin() as session:
                claim = await claim_pairs(session, wanted)
            left = deadline - time.monotonic()
            if claim.status is not Status.WAITING or left <= 0:
                return claim
            if request.app.state.stopping.is_set() or await request.is_disconnected():
                return claim
            await plan_changed.get(min(left, _POLL_SECONDS))


def _note_change(request: Request, project: Project) -> None:
    announcer: LedgerAnnouncer = request.app.state.announcer
    announcer.note(project.id)


@router.patch(
    "/projects/{name}",
    summary="Change a project's settings",
    responses=problems(401, 403, 404, 409, 413, 415, 422),
    tags=["projects"],
)
async def change_project(
    name: str, sent: ProjectChange, session: Session, _: AdminKey
) -> ProjectView:
    """Change what is sent; what is left out stays, and so do held assignments."""
    return project_view(await service.change_project(session, name, sent))


@router.patch(
    "/annotators/{name:path}",
    summary="Change an annotator's name, role, projects or activity",
    responses=problems(401, 403, 404, 409, 413, 415, 422),
    tags=["annotators"],
)
async def change_annotator(
    name: str, change: AnnotatorChange, session: Session, _: AdminKey
) -> AnnotatorView | NameOfLabels:
    """Change an annotator; what is left out stays.

    A new name is that of all labels too. Somebody without an account, whose name only stands in
    imported labels, can be renamed as well.
    """
    return await renaming.change_annotator(session, name, change)


@router.delete(
    "/annotators/{name:path}",
    status_code=204,
    summary="Deactivate an annotator, or erase the name",
    responses=problems(401, 403, 404, 409, 422),
    tags=["annotators"],
)
async def delete_annotator(
    name: str,
    session: Session,
    _: AdminKey,
    erase: Annotated[
        bool, Query(description="Erase the name too: labels stay under a neutral one")
    ] = False,
) -> Response:
    """The key stops working at once and held assignments are released. Labels stay."""
    if erase:
        await renaming.erase_annotator(session, name)
    else:
        await renaming.change_annotator(session, name, AnnotatorChange(active=False))
    return Response(status_code=204)


@router.delete(
    "/assignments/{assignment_id}",
    status_code=204,
    summary="Give a held pair back",
    responses=problems(401, 404, 409, 422),
)
async def give_back(assignment_id: str, session: Session, principal: AnyKey) -> Response:
    """Somebody else may take the pair; its reservation is freed."""
    await service.give_back(session, principal, decode(IdKind.ASSIGNMENT, assignment_id))
    return Response(status_code=204)


@router.post(
    "/labels",
    status_code=201,
    summary="Answer assignments",
    responses={
        200: {"model": StoredLabels, "description": "The same labels were there already"},
        **problems(401, 403, 404, 409, 413, 415, 422),
    },
)
async def post_labels(
    body: LabelsBody,
    request: Request,
    response: Response,
    session: Session,
    principal: AnyKey,
    project: Annotated[
        str | None,
        Query(
            max_length=256,
            description="Name of the project of imported labels. Left out, your own ids mean"
            f" `{DEFAULT_PROJECT}`, and ours (`prm_…`) are found in any project",
        ),
    ] = None,
) -> StoredLabels:
    """One label, or up to 1000 of one project; all or nothing. Safe to repeat.

    Imported labels and rankings need an admin's key.
    """
    sent = body.labels if isinstance(body, NewLabels) else [body]
    answers = [label for label in sent if isinstance(label, NewLabel)]
    imported = [label for label in sent if not isinstance(label, NewLabel)]
    if answers and imported:
        error = FieldError(
            ("body", "labels"), "send answers and imported labels in separate requests"
        )
        raise InvalidInput(error.msg, errors=(error,))
    if imported:
        require_admin(principal)
        settlement = await take_imported_labels(session, project, imported)
    else:
        settlement = await settle_labels(session, principal, answers)
    if not settlement.created:
        response.status_code = 200
    _note_change(request, settlement.project)
    return StoredLabels(
        labels=[views.stored_label(label) for label in settlement.labels],
        ledger=ledger_view(settlement.project),
    )


@router.delete(
    "/labels/{label_id}",
    status_code=204,
    summary="Undo a label",
    responses=problems(401, 404, 422),
)
async def delete_label(label_id: str, session: Session, principal: AnyKey) -> Response:
    """The ledger is refunded and the pair is open again; the withdrawn label stays as history."""
    await withdraw_label(session, principal, decode(IdKind.LABEL, label_id))
    return Response(status_code=204)
