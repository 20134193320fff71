"""Add responses to a prompt that is stored: sampled again, say."""

from collections.abc import Sequence
from dataclasses import dataclass

from sqlalchemy.ext.asyncio import AsyncSession

from app.errors import Conflict, FieldError, UnknownPrompt
from app.prompts import intake_queries, queries
from app.prompts.incoming import DroppedResponse, IncomingResponse, dimensions, keep_responses
from app.prompts.intake import Details, TakenResponse, announce, note_details
from app.prompts.intake_queries import pairs_among
from app.prompts.places import placed
from app.prompts.schemas import NewResponse
from app.prompts.service import find_prompt
from app.prompts.stored import (
    EmbeddingSpace,
    StoredPrompt,
    StoredResponse,
    check_response_ids,
    check_space,
)
from app.settings import MAX_RESPONSES


@dataclass(frozen=True, slots=True)
class Addition:
    """What became of the responses that were sent, and of the prompt."""

    prompt: StoredPrompt
    status: str
    created: int
    responses: Sequence[TakenResponse]
    dropped: Sequence[DroppedResponse]


@dataclass(frozen=True, slots=True)
class _Sorted:
    """The responses that were sent, by what is to be done with them."""

    fresh: list[IncomingResponse]
    repeated: list[tuple[IncomingResponse, StoredResponse]]
    dropped: list[DroppedResponse]


async def add_responses(
    session: AsyncSession, public_id: str, sent: Sequence[NewResponse]
) -> Addition:
    """Add responses to a prompt.

    One with the id and text of a stored one is the same, sent again; another with the text of a
    stored one is dropped as a duplicate. The prompt's own embedding stays as it is.

    Raises:
        UnknownPrompt: no prompt has that id.
        PromptDiffers: a response's id is stored with another text.
        EmbeddingsDiffer: the embeddings do not go with the project's.
        Conflict: the prompt would have too many responses, or a second reference.
    """
    found = await find_prompt(session, public_id)
    prompt = await queries.lock_stored(session, found.id)
    if prompt is None:
        raise UnknownPrompt("no prompt has that id")
    kept = keep_responses(sent)
    with placed(("body",)):
        todo = _sort(kept.responses, prompt.responses)
        await _check(session, found.project_id, prompt, todo.fresh)
    ids: list[int] = []
    if todo.fresh:
        first = len(prompt.responses)
        (ids,) = await intake_queries.insert_responses(session, [(prompt.id, first, todo.fresh)])
    details: dict[int, Details] = {}
    note_details([new for new, _ in todo.repeated], [old for _, old in todo.repeated], details)
    if details:
        await intake_queries.set_response_details(session, details)
    status = await _extend(session, found.project_id, prompt, todo.fresh)
    taken = [TakenResponse(old.id, old.external_id) for _, old in todo.repeated]
    taken += [
        TakenResponse(response_id, each.external_id)
        for response_id, each in zip(ids, todo.fresh, strict=True)
    ]
    return Addition(prompt, status, len(ids), taken, [*kept.dropped, *todo.dropped])


def _sort(sent: Sequence[IncomingResponse], stored: Sequence[StoredResponse]) -> _Sorted:
    by_text = {each.text.strip(): each for each in stored}
    same_text = [by_text.get(each.text.strip()) for each in sent]
    check_response_ids(
        sent,
        [
            old if old is not None and old.text == new.text else None
            for new, old in zip(sent, same_text, strict=True)
        ],
        stored,
    )
    result = _Sorted([], [], [])
    for new, old in zip(sent, same_text, strict=True):
        if old is None:
            result.fresh.append(new)
        elif new.external_id is not None and new.external_id == old.external_id:
            result.repeated.append((new, old))
        else:
            result.dropped.append(DroppedResponse(new.external_id, "duplicate"))
    return result


async def _check(
    session: AsyncSession,
    project_id: int,
    prompt: StoredPrompt,
    fresh: Sequence[IncomingResponse],
) -> None:
    if not fresh:
        return
    space = await intake_queries.embedding_space(session, project_id)
    check_space(space or EmbeddingSpace("service", None), dimensions(fresh))
    if len(prompt.responses) + len(fresh) > MAX_RESPONSES:
        detail = f"the prompt would have more than {MAX_RESPONSES} responses"
        raise Conflict(detail, errors=(FieldError(("responses",), detail),))
    if any(each.reference for each in fresh) and await queries.has_reference(session, prompt.id):
        detail = "the prompt has a reference response already"
        raise Conflict(detail, errors=(FieldError(("responses",), detail),))


async def _extend(
    session: AsyncSession,
    project_id: int,
    prompt: StoredPrompt,
    fresh: Sequence[IncomingResponse],
) -> str:
    """Note what the prompt has now; gives its status."""
    if not fresh:
        return prompt.status
    waits = dimensions(fresh) is None
    status = "pending" if waits else prompt.status
    total = pairs_among(len(prompt.responses) + len(fresh))
    await intake_queries.extend_prompt(session, prompt.id, status=status, pairs_total=total)
    await announce(session, project_id, is_pending=waits)
    if status != prompt.status:
        await intake_queries.count_intake(session, project_id, pending=1)
    return status
