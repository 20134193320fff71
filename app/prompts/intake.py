"""Store prompts: add new ones, and recognise those that are sent again.

Everything happens in the caller's transaction, which takes locks in this order: the project's row
(by the caller, if it stores labels), the keys of new prompts, prompts that are stored already, the
project's counts.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from sqlalchemy.ext.asyncio import AsyncSession

from app.errors import AppError, Conflict
from app.prompts.incoming import IncomingPrompt, Key
from app.prompts.matching import EmbeddingSpace, StoredPrompt, StoredResponse, check_space, match
from app.prompts.queries import reading, writing
from app.prompts.schemas import NewResponse
from app.storage.notifications import Channel, notify
from app.storage.sql import lock_prompts

ATTEMPTS = 3
"""How often to look again for prompts that others add and erase at the same time."""
Details = tuple[float | None, dict[str, Any] | None]
"""A response's new score and metadata; None leaves what is stored."""


@dataclass(frozen=True, slots=True)
class Taken:
    """A prompt that is stored, and those of its responses that were sent, in that order."""

    prompt: StoredPrompt
    responses: Sequence[StoredResponse]
    created: bool
    extended: bool = False
    """Whether an import's row added responses to it."""


@dataclass(slots=True)
class Intake:
    """The outcome for each prompt, in the order sent, and what ``finish`` must still write."""

    project_id: int
    outcomes: list[Taken | AppError] = field(default_factory=list)
    prompt_metadata: dict[int, dict[str, Any]] = field(default_factory=dict)
    response_details: dict[int, Details] = field(default_factory=dict)
    changed: set[int] = field(default_factory=set)

    @property
    def taken(self) -> list[Taken]:
        """The prompts that are stored."""
        return [each for each in self.outcomes if isinstance(each, Taken)]

    @property
    def created(self) -> int:
        """How many of them are new."""
        return sum(each.created for each in self.taken)


async def take_in(
    session: AsyncSession, project_id: int, prompts: Sequence[IncomingPrompt]
) -> Intake:
    """Add the prompts that are new and recognise the others; ``finish`` must follow.

    The outcome of a prompt that cannot be stored is its error, and the others are stored all the
    same: PromptDiffers (its id is stored with other texts), EmbeddingsDiffer (its embeddings do not
    fit the project's).
    """
    keys = {prompt.key for prompt in prompts}
    stored = await reading.find_stored(session, project_id, keys) if keys else {}
    refused = await _refuse_embeddings(session, project_id, prompts, stored)
    new: dict[Key, IncomingPrompt] = {}
    for index, prompt in enumerate(prompts):
        if prompt.key not in stored and index not in refused:
            new.setdefault(prompt.key, prompt)
    created = await _add(session, project_id, list(new.values()), stored)
    intake = Intake(project_id)
    for index, prompt in enumerate(prompts):
        is_new = prompt.key in created and new[prompt.key] is prompt
        refusal = refused.get(index)
        intake.outcomes.append(refusal or _outcome(intake, prompt, stored[prompt.key], is_new))
    return intake


async def finish(session: AsyncSession, intake: Intake) -> None:
    """Update prompts that were sent again, and announce and count the new ones."""
    if intake.changed:
        await lock_prompts(session, intake.changed)
        if intake.prompt_metadata:
            await writing.set_prompt_metadata(session, intake.prompt_metadata)
        if intake.response_details:
            await writing.set_response_details(session, intake.response_details)
    created = [each for each in intake.taken if each.created]
    if created:
        pending = sum(each.prompt.status == "pending" for each in created)
        await announce(session, intake.project_id, is_pending=pending > 0)
        await writing.count_intake(
            session,
            intake.project_id,
            prompts=len(created),
            pending=pending,
            unplanned=len(created),
        )


async def announce(session: AsyncSession, project_id: int, *, is_pending: bool) -> None:
    """Wake the embedder, or the planner where nothing is left to embed."""
    channel = Channel.TEXTS_PENDING if is_pending else Channel.PROMPTS_READY
    await notify(session, channel, str(project_id))


async def _refuse_embeddings(
    session: AsyncSession,
    project_id: int,
    prompts: Sequence[IncomingPrompt],
    stored: Mapping[Key, StoredPrompt],
) -> dict[int, AppError]:
    """The errors, by index, of prompts whose embeddings do not fit the project's.

    The first prompt of a project decides where its embeddings come from. A prompt that is stored
    already may be sent again without its embeddings.
    """
    refused: dict[int, AppError] = {}
    space: EmbeddingSpace | None = None
    for index, prompt in enumerate(prompts):
        if prompt.dimensions is None and prompt.key in stored:
            continue
        space = space or await decided_space(session, project_id, prompt.dimensions)
        try:
            check_space(space, prompt.dimensions)
        except AppError as error:
            refused[index] = error
    return refused


async def decided_space(
    session: AsyncSession, project_id: int, dimensions: int | None
) -> EmbeddingSpace:
    """Where the project's embeddings come from; its first prompt, which has these, decides it.

    Raises:
        UnknownProject: the project has been deleted.
    """
    space = await reading.embedding_space(session, project_id)
    if space is None:
        wanted = EmbeddingSpace("service" if dimensions is None else "caller", dimensions)
        if await writing.decide_embedding_space(session, project_id, wanted):
            return wanted
        space = await reading.embedding_space(session, project_id)
        assert space is not None
    return space


async def _add(
    session: AsyncSession,
    project_id: int,
    new: Sequence[IncomingPrompt],
    stored: dict[Key, StoredPrompt],
) -> set[Key]:
    """Add the prompts to the database and to ``stored``; gives the keys of those added.

    A prompt that another transaction adds at the same time is read once that has committed.
    """
    created: set[Key] = set()
    missing = list(new)
    for _ in range(ATTEMPTS):
        if not missing:
            return created
        inserted = await writing.insert_prompts(session, project_id, missing)
        for prompt in missing:
            if prompt.key in inserted:
                prompt_id, response_ids = inserted[prompt.key]
                responses = as_stored(prompt.responses, response_ids)
                stored[prompt.key] = as_stored_prompt(prompt, prompt_id, responses)
        created |= inserted.keys()
        left = {prompt.key for prompt in missing} - inserted.keys()
        if left:
            stored |= await reading.find_stored(session, project_id, left)
        missing = [prompt for prompt in missing if prompt.key not in stored]
    if missing:
        raise Conflict("these prompts are being added and deleted right now; send them again")
    return created


def as_stored_prompt(
    prompt: IncomingPrompt, prompt_id: int, responses: Sequence[StoredResponse]
) -> StoredPrompt:
    """A prompt that has just been added with this id and these responses."""
    return StoredPrompt(
        id=prompt_id,
        external_id=prompt.external_id,
        content=prompt.content,
        tools=prompt.tools,
        fingerprint=prompt.fingerprint,
        metadata=prompt.metadata,
        status="pending" if prompt.dimensions is None else "ready",
        responses=responses,
    )


def as_stored(sent: Sequence[NewResponse], ids: Sequence[int]) -> list[StoredResponse]:
    """Responses that have just been added with these ids."""
    return [
        StoredResponse(
            id=response_id,
            external_id=each.id,
            text=each.text,
            tool_calls=each.tool_calls,
            score=each.score,
            metadata=each.metadata,
            reference=each.reference,
            round=each.round,
        )
        for response_id, each in zip(ids, sent, strict=True)
    ]


def _outcome(
    intake: Intake, prompt: IncomingPrompt, stored: StoredPrompt, is_new: bool
) -> Taken | AppError:
    if is_new:
        return Taken(stored, stored.responses, created=True)
    try:
        matched = match(prompt, stored)
    except AppError as error:
        return error
    if prompt.metadata not in (None, stored.metadata):
        stored.metadata = prompt.metadata
        intake.prompt_metadata[stored.id] = prompt.metadata
        intake.changed.add(stored.id)
    if note_details(prompt.responses, matched, intake.response_details):
        intake.changed.add(stored.id)
    return Taken(stored, matched, created=False)


def note_details(
    sent: Sequence[NewResponse],
    stored: Sequence[StoredResponse],
    details: dict[int, Details],
) -> bool:
    """Collect the scores and metadata that differ from what is stored; gives whether any do.

    What was not sent stays as it is stored.
    """
    is_changed = False
    for new, old in zip(sent, stored, strict=True):
        if new.score in (None, old.score) and new.metadata in (None, old.metadata):
            continue
        score, metadata = details.get(old.id, (None, None))
        details[old.id] = (
            score if new.score is None else new.score,
            metadata if new.metadata is None else new.metadata,
        )
        old.score = old.score if new.score is None else new.score
        old.metadata = old.metadata if new.metadata is None else new.metadata
        is_changed = True
    return is_changed
