"""Claims and labels as answers show them."""

from collections.abc import Mapping, Sequence
from typing import Any

from app.annotation.claim import Claim
from app.annotation.queries.claim import HeldPair
from app.annotation.queries.review import LookedUp
from app.annotation.schemas import (
    HandedPair,
    LabelView,
    NextPairs,
    PairResponse,
    PairView,
    ShownResponse,
    StoredLabel,
)
from app.formats.tool_calls import ToolCalls, arguments_of
from app.projects.views import ledger_view, number
from app.storage.ids import IdKind, encode
from app.storage.tables import Label, Pair, Response


def next_pairs(claim: Claim, *, is_admin: bool) -> NextPairs:
    """The answer to a claim. Only admins are shown what could bias a judgement."""
    return NextPairs(
        pairs=[_handed_pair(held, is_admin=is_admin) for held in claim.pairs],
        ledger=ledger_view(claim.project),
        pending_prompts=claim.pending_prompts,
        status=claim.status.value,
        retry_after=claim.retry_after,
    )


def _handed_pair(held: HeldPair, *, is_admin: bool) -> HandedPair:
    first = _shown(held.first_response_id, held.first_text, held.first_calls, is_admin=is_admin)
    second = _shown(held.second_response_id, held.second_text, held.second_calls, is_admin=is_admin)
    left, right = (second, first) if held.swapped else (first, second)
    provenance: dict[str, Any] = {
        "similarity": held.similarity,
        "arm": held.arm,
        "strategy": held.strategy,
        "propensity": held.propensity,
    }
    return HandedPair(
        assignment_id=encode(IdKind.ASSIGNMENT, held.assignment_id),
        pair_id=encode(IdKind.PAIR, held.pair_id),
        prompt_id=encode(IdKind.PROMPT, held.prompt_id),
        prompt=held.content,
        left=left,
        right=right,
        expected_cost=number(held.reserved),
        expires_at=held.expires_at,
        **({} if held.tools is None else {"tools": held.tools}),
        **(provenance if is_admin else {}),
    )


def _shown(
    response_id: int, text: str, tool_calls: ToolCalls | None, *, is_admin: bool
) -> ShownResponse:
    shown: dict[str, Any] = {"response_id": encode(IdKind.RESPONSE, response_id), "text": text}
    if tool_calls is not None:
        shown["tool_calls"] = tool_calls if is_admin else list(map(_without_origin, tool_calls))
    return ShownResponse(**shown)


def _without_origin(call: Mapping[str, Any]) -> dict[str, Any]:
    """A call to be judged: the form of its id, or of its arguments, could tell the model."""
    name = call["function"]["name"]
    return {"type": "function", "function": {"name": name, "arguments": arguments_of(call)}}


def stored_label(label: Label) -> StoredLabel:
    """A label as the answer to its request."""
    return StoredLabel(**_stored(label))


def label_view(row: LookedUp, *, is_admin: bool) -> LabelView:
    """A label as it is looked up; ``row`` is one of ``queries.review``."""
    label: Label = row.Label
    sides = _sides(row)
    provenance = {"similarity": row.similarity, "arm": row.arm} if is_admin else {}
    return LabelView(
        **_stored(label),
        annotator=label.annotator,
        strength=label.strength,
        seconds=label.seconds,
        rationale=label.rationale,
        edited=label.edited,
        edited_rejected=label.edited_rejected,
        left_response_id=sides[0],
        right_response_id=sides[1],
        created_at=label.created_at,
        withdrawn_at=label.withdrawn_at,
        withdrawn_by=row.withdrawn_by,
        **provenance,
    )


def _sides(row: LookedUp) -> tuple[str | None, str | None]:
    if row.swapped is None:
        return None, None
    first, second = _response_id(row.first_response_id), _response_id(row.second_response_id)
    return (second, first) if row.swapped else (first, second)


def pair_texts(row: LookedUp, *, is_admin: bool) -> dict[str, Any]:
    """The fields of ``PairTexts``; ``row`` is one of ``queries.review.read_pairs``."""
    responses = [_pair_response(each, is_admin=is_admin) for each in (row.first, row.second)]
    tools = {} if row.Prompt.tools is None else {"tools": row.Prompt.tools}
    return {"prompt": row.Prompt.content, "responses": responses, **tools}


def _pair_response(response: Response, *, is_admin: bool) -> PairResponse:
    shown = _shown(response.id, response.text, response.tool_calls, is_admin=is_admin)
    origin: dict[str, Any] = {
        "external_id": response.external_id,
        "model": response.model,
        "score": response.score,
        "round": response.round,
    }
    return PairResponse(**shown.model_dump(exclude_unset=True), **(origin if is_admin else {}))


def pair_view(row: LookedUp, labels: Sequence[LabelView], *, is_admin: bool) -> PairView:
    """A pair with the labels of it that may be seen."""
    pair: Pair = row.Pair
    provenance: dict[str, Any] = {
        "prompt_external_id": row.Prompt.external_id,
        "similarity": pair.similarity,
        "arm": pair.arm,
        "strategy": pair.strategy,
    }
    return PairView(
        id=encode(IdKind.PAIR, pair.id),
        prompt_id=encode(IdKind.PROMPT, pair.prompt_id),
        **pair_texts(row, is_admin=is_admin),
        labels=list(labels),
        **(provenance if is_admin else {}),
    )


def _stored(label: Label) -> dict[str, Any]:
    return {
        "id": encode(IdKind.LABEL, label.id),
        "pair_id": encode(IdKind.PAIR, label.pair_id),
        "prompt_id": encode(IdKind.PROMPT, label.prompt_id),
        "choice": label.choice,
        "preferred_response_id": _response_id(label.preferred_response_id),
        "rejected_response_id": _response_id(label.rejected_response_id),
        "status": label.status,
    }


def _response_id(response_id: int | None) -> str | None:
    return None if response_id is None else encode(IdKind.RESPONSE, response_id)
