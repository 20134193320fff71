"""An admin's own answer to a pair, which takes the place of labels that are wrong."""

from collections.abc import Sequence
from typing import Any

from sqlalchemy.ext.asyncio import AsyncSession

from app.accounts.service import Principal
from app.annotation.imported_labels import ImportedLabel, Outcome, store_imported_labels
from app.annotation.queries import assignments, labels
from app.annotation.release import lapse_expired, promote_surplus
from app.annotation.schemas import Correction, NewLabel
from app.annotation.settle import Settlement, settle_labels
from app.annotation.undo import withdraw_locked
from app.errors import FieldError, InvalidInput, LabelDiffers, PairFull, UnknownLabel, UnknownPair
from app.projects import service as projects
from app.storage.arm import Arm
from app.storage.ids import IdKind, decode, encode
from app.storage.notifications import Channel, notify
from app.storage.tables import Pair, Project

_ALSO_SAID = {"strength", "seconds", "rationale", "edited", "edited_rejected"}
_STANDS = "your own label of this pair says otherwise: name it in withdraw"


async def correct_pair(
    session: AsyncSession, principal: Principal, pair_id: int | None, sent: Correction
) -> Settlement:
    """Withdraw labels of a pair and record the admin's answer, all or nothing.

    The answer is a label like any other: it takes the room and the budget that the withdrawn ones
    leave. Of a pair that is known from imported labels alone, it costs nothing, as they do. The
    same correction again changes nothing.

    Raises:
        UnknownPair: no pair has that id.
        UnknownLabel: a label to withdraw is not one of the pair's.
        InvalidInput: the preferred response is not one of the pair's.
        LabelDiffers: the admin has answered otherwise already.
        PairFull: the answer would not count, for want of room or budget.
    """
    found = await assignments.pairs_by_id(session, [pair_id]) if pair_id else {}
    if pair_id not in found:
        raise UnknownPair("no pair has that id")
    project = await projects.lock_project(session, found[pair_id].project_id)
    await lapse_expired(session, project)
    # Read again: it may have changed, or gone, before the lock.
    found = await assignments.pairs_by_id(session, [pair_id])
    if pair_id not in found:
        raise UnknownPair("no pair has that id")
    pair = found[pair_id]
    preferred = _preferred(pair, sent)
    await _withdraw(session, principal, project, pair, sent.withdraw)
    if pair.arm in (Arm.IMPORTED, Arm.AUTOMATIC):
        settlement = await _store(session, principal, project, pair, sent, preferred)
    else:
        settlement = await _settle(session, principal, project, pair, sent, preferred)
    await notify(session, Channel.PLAN_CHANGED, str(project.id))
    return settlement


def _preferred(pair: Pair, sent: Correction) -> int | None:
    if sent.preferred_response_id is None:
        return None
    number = decode(IdKind.RESPONSE, sent.preferred_response_id)
    if number not in (pair.first_response_id, pair.second_response_id):
        error = FieldError(("body", "preferred_response_id"), "is not a response of this pair")
        raise InvalidInput(f"preferred_response_id: {error.msg}", errors=(error,))
    return number


async def _withdraw(
    session: AsyncSession,
    principal: Principal,
    project: Project,
    pair: Pair,
    label_ids: Sequence[str],
) -> None:
    for place, label_id in enumerate(label_ids):
        number = decode(IdKind.LABEL, label_id)
        label = await labels.find_label(session, number) if number else None
        if label is None or label.pair_id != pair.id:
            raise UnknownLabel(f"withdraw.{place}: no label of this pair has that id")
        if label.status != "withdrawn":
            await withdraw_locked(session, principal, project, pair, label)


async def _settle(
    session: AsyncSession,
    principal: Principal,
    project: Project,
    pair: Pair,
    sent: Correction,
    preferred: int | None,
) -> Settlement:
    assignment = await assignments.own_assignment(session, project, pair.id, principal.id)
    choice: str | None = sent.choice
    if preferred is not None:
        is_left = (preferred == pair.first_response_id) != assignment.swapped
        choice = "left" if is_left else "right"
    answer: dict[str, Any] = {
        "assignment_id": encode(IdKind.ASSIGNMENT, assignment.id),
        "choice": choice,
        **sent.model_dump(include=_ALSO_SAID),
    }
    try:
        settlement = await settle_labels(session, principal, [NewLabel(**answer)])
    except LabelDiffers:
        raise LabelDiffers(_STANDS) from None
    if settlement.created and settlement.labels[0].status != "counted":
        raise PairFull("your answer would not count: withdraw a label, or raise the budget")
    # Read the counts again: the statement that wrote the label has changed them.
    project = await projects.lock_project(session, project.id)
    if project.surplus_labels:
        now = await assignments.pairs_by_id(session, [pair.id])
        await promote_surplus(session, project, now[pair.id])
    return settlement


async def _store(
    session: AsyncSession,
    principal: Principal,
    project: Project,
    pair: Pair,
    sent: Correction,
    preferred: int | None,
) -> Settlement:
    label = ImportedLabel(
        prompt_id=pair.prompt_id,
        response_ids=(pair.first_response_id, pair.second_response_id),
        preferred_response_id=preferred,
        annotator=principal.name,
        both_bad=sent.choice == "both_bad",
        **sent.model_dump(include=_ALSO_SAID),
    )
    (stored,) = await store_imported_labels(session, project.id, [label], one_answer=True)
    if stored.outcome is Outcome.CONFLICT:
        raise LabelDiffers(_STANDS)
    project = await projects.lock_project(session, project.id)  # reads the new counts
    found = await labels.labels_by_id(session, [stored.label_id])
    return Settlement(project, list(found.values()), int(stored.outcome is Outcome.CREATED))
