"""Add responses to a prompt that is stored: sampled again, say."""

from collections.abc import Sequence
from dataclasses import dataclass

from sqlalchemy.ext.asyncio import AsyncSession

from app.errors import AppError, Conflict, FieldError, UnknownPrompt
from app.prompts.incoming import DroppedResponse, keep_responses
from app.prompts.intake import Details, announce, as_stored, note_details
from app.prompts.queries import intake as intake_queries
from app.prompts.queries import stored as queries
from app.prompts.queries.intake import NewRows, pairs_among
from app.prompts.schemas import NewResponse
from app.prompts.service import find_prompt
from app.prompts.stored import (
    EmbeddingSpace,
    StoredPrompt,
    StoredResponse,
    check_response_ids,
    check_space,
)
from app.prompts.unit_vectors import SentVectors, Vectors, embeddings, unit_vectors
from app.settings import MAX_RESPONSES


@dataclass(frozen=True, slots=True)
class Addition:
    """What became of the responses that were sent, and of the prompt."""

    prompt: StoredPrompt
    status: str
    created: int
    responses: Sequence[StoredResponse]
    dropped: Sequence[DroppedResponse]


@dataclass(frozen=True, slots=True)
class _Sorted:
    """The responses that were sent, by what is to be done with them."""

    fresh: list[NewResponse]
    repeated: list[tuple[NewResponse, StoredResponse]]
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
    try:
        todo = _sort(kept.responses, prompt.responses)
        vectors = _vectors(todo.fresh)
        await _check(session, found.project_id, prompt, todo.fresh, vectors)
    except AppError as error:
        raise error.under(("body",)) from None
    ids: list[int] = []
    if todo.fresh:
        rows = NewRows(prompt.id, len(prompt.responses), todo.fresh, vectors)
        (ids,) = await intake_queries.insert_responses(session, [rows])
    details: dict[int, Details] = {}
    note_details([new for new, _ in todo.repeated], [old for _, old in todo.repeated], details)
    if details:
        await intake_queries.set_response_details(session, details)
    waits = bool(todo.fresh) and vectors is None
    status = await _extend(session, found.project_id, prompt, len(ids), waits=waits)
    taken = [*(old for _, old in todo.repeated), *as_stored(todo.fresh, ids)]
    return Addition(prompt, status, len(ids), taken, [*kept.dropped, *todo.dropped])


def _vectors(fresh: Sequence[NewResponse]) -> Vectors | None:
    """The responses' own unit vectors, ``(n, dimensions)``; None where they have none."""
    (vectors,) = unit_vectors([SentVectors(None, embeddings(fresh))])
    return None if vectors is None else vectors.responses


def _sort(sent: Sequence[NewResponse], stored: Sequence[StoredResponse]) -> _Sorted:
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
        elif new.id is not None and new.id == old.external_id:
            result.repeated.append((new, old))
        else:
            result.dropped.append(DroppedResponse(new.id, "duplicate"))
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
    space = await intake_queries.embedding_space(session, project_id)
    dimensions = None if vectors is None else vectors.shape[1]
    check_space(space or EmbeddingSpace("service", None), dimensions)
    if len(prompt.responses) + len(fresh) > MAX_RESPONSES:
        detail = f"the prompt would have more than {MAX_RESPONSES} responses"
        raise Conflict(detail, errors=(FieldError(("responses",), detail),))
    if any(each.reference for each in fresh) and await queries.has_reference(session, prompt.id):
        detail = "the prompt has a reference response already"
        raise Conflict(detail, errors=(FieldError(("responses",), detail),))


async def _extend(
    session: AsyncSession, project_id: int, prompt: StoredPrompt, added: int, *, waits: bool
) -> str:
    """Note what the prompt has now; gives its status."""
    if not added:
        return prompt.status
    status = "pending" if waits else prompt.status
    total = pairs_among(len(prompt.responses) + added)
    await intake_queries.extend_prompt(session, prompt.id, status=status, pairs_total=total)
    await announce(session, project_id, is_pending=waits)
    if status != prompt.status:
        await intake_queries.count_intake(session, project_id, pending=1)
    return status
