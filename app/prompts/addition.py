"""Add responses to a stored prompt."""

from collections.abc import Sequence

from sqlalchemy.ext.asyncio import AsyncSession

from app.errors import AppError, Conflict, FieldError, UnknownPrompt
from app.prompts.answers import known_status, named
from app.prompts.embeddings import SentVectors, Vectors, unit_vectors
from app.prompts.incoming import embeddings, keep_responses
from app.prompts.intake import Details, announce, as_stored, note_details
from app.prompts.matching import (
    EmbeddingSpace,
    StoredPrompt,
    StoredResponse,
    check_response_ids,
    check_space,
)
from app.prompts.queries import reading, writing
from app.prompts.schemas import DroppedView, NewResponse, TakenResponses
from app.prompts.service import find_prompt
from app.selection.pair_grid import pair_count
from app.settings import MAX_RESPONSES
from app.storage.ids import IdKind, encode

_Sorted = tuple[list[NewResponse], list[tuple[NewResponse, StoredResponse]], list[DroppedView]]
"""The responses that were sent: the new ones, those sent again with theirs, those to drop."""


async def add_responses(
    session: AsyncSession, public_id: str, sent: Sequence[NewResponse]
) -> TakenResponses:
    """Add responses to a prompt, whose own embedding stays as it is.

    A response with the id and text of a stored one is the same, sent again, and stays in its round.
    One with only the text of a stored one is dropped as a duplicate.

    Raises:
        UnknownPrompt: no prompt has that id.
        PromptDiffers: a response's id is stored with another text.
        EmbeddingsDiffer: the embeddings do not fit the project's.
        Conflict: the prompt would have too many responses, or a second reference of a round.
    """
    found = await find_prompt(session, public_id)
    await writing.take_turn_to_add(session, found.project_id)
    prompt = await reading.lock_stored(session, found.id)
    if prompt is None:
        raise UnknownPrompt("no prompt has that id")
    kept = keep_responses(sent)
    try:
        fresh, repeated, dropped = _sort(kept.responses, prompt.responses)
        vectors = _vectors(fresh)
        await _check(session, found.project_id, prompt, fresh, vectors)
    except AppError as error:
        raise error.under(("body",)) from None
    ids: list[int] = []
    if fresh:
        rows = writing.NewRows(prompt.id, len(prompt.responses), fresh, vectors)
        (ids,) = await writing.insert_responses(session, [rows])
        if any(each.tool_calls for each in fresh):
            await writing.mark_with_tools(session, [prompt.id])
    details: dict[int, Details] = {}
    note_details([new for new, _ in repeated], [old for _, old in repeated], details)
    if details:
        await writing.set_response_details(session, details)
    waits = bool(fresh) and vectors is None
    status = await _extend(session, found.project_id, prompt, fresh, waits=waits)
    return TakenResponses(
        id=encode(IdKind.PROMPT, prompt.id),
        external_id=prompt.external_id,
        status=known_status(status),
        created=len(ids),
        unchanged=len(repeated),
        responses=named([*(old for _, old in repeated), *as_stored(fresh, ids)]),
        dropped=[*kept.dropped, *dropped],
    )


def _vectors(fresh: Sequence[NewResponse]) -> Vectors | None:
    """The unit vectors that were sent, ``(n, dimensions)``; None where there are none."""
    (vectors,) = unit_vectors([SentVectors(None, embeddings(fresh))])
    return None if vectors is None else vectors.responses


def _sort(sent: Sequence[NewResponse], stored: Sequence[StoredResponse]) -> _Sorted:
    by_said = {each.said: each for each in stored}
    same = [by_said.get(each.said) for each in sent]
    check_response_ids(
        sent,
        [
            old if old is not None and old.exact == new.exact else None
            for new, old in zip(sent, same, strict=True)
        ],
        stored,
    )
    result: _Sorted = ([], [], [])
    fresh, repeated, dropped = result
    for new, old in zip(sent, same, strict=True):
        if old is None:
            fresh.append(new)
        elif new.id is not None and new.id == old.external_id:
            repeated.append((new, old))
        else:
            dropped.append(DroppedView(external_id=new.id, reason="duplicate"))
    return result


async def _check(
    session: AsyncSession,
    project_id: int,
    prompt: StoredPrompt,
    fresh: Sequence[NewResponse],
    vectors: Vectors | None,
) -> None:
    if not fresh:
        return
    space = await reading.embedding_space(session, project_id)
    dimensions = None if vectors is None else vectors.shape[1]
    check_space(space or EmbeddingSpace("service", None), dimensions)
    if len(prompt.responses) + len(fresh) > MAX_RESPONSES:
        detail = f"the prompt would have more than {MAX_RESPONSES} responses"
        raise Conflict(detail, errors=(FieldError(("responses",), detail),))
    references = {each.round for each in prompt.responses if each.reference}
    if any(each.reference and each.round in references for each in fresh):
        detail = "the prompt has a reference response of that round already"
        raise Conflict(detail, errors=(FieldError(("responses",), detail),))


async def _extend(
    session: AsyncSession,
    project_id: int,
    prompt: StoredPrompt,
    fresh: Sequence[NewResponse],
    *,
    waits: bool,
) -> str:
    """Update the prompt to its new responses; gives its status."""
    if not fresh:
        return prompt.status
    status = "pending" if waits else prompt.status
    total = pair_count(len(prompt.responses) + len(fresh))
    latest = max(each.round for each in fresh)
    await writing.extend_prompt(
        session, prompt.id, status=status, pairs_total=total, latest_round=latest
    )
    await announce(session, project_id, is_pending=waits)
    if status != prompt.status:
        await writing.count_as_pending(session, prompt.id, was_failed=prompt.status == "failed")
    return status
