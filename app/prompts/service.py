"""Store, list, look up and erase prompts. A request is stored as a whole or not at all."""

from collections.abc import Sequence

from sqlalchemy.ext.asyncio import AsyncSession

from app.annotation.erasure import erase_annotations
from app.errors import (
    AppError,
    FieldError,
    InvalidInput,
    Location,
    PromptNotFailed,
    UnknownPrompt,
)
from app.projects import service as projects
from app.prompts.incoming import IncomingPrompt, incoming_prompts
from app.prompts.intake import Taken, announce, finish, take_in
from app.prompts.queries import reading, writing
from app.prompts.queries.reading import ListedPrompt
from app.prompts.schemas import NewPrompt
from app.storage.ids import IdKind, decode
from app.storage.notifications import Channel, notify
from app.storage.tables import Prompt, Response


async def take_prompts(
    session: AsyncSession,
    project_name: str,
    sent: Sequence[NewPrompt],
    locations: Sequence[Location],
) -> list[tuple[IncomingPrompt, Taken]]:
    """Store a request's prompts; ``locations`` says where each one is in the body, for errors.

    Raises:
        UnknownProject: no project has that name.
        InvalidInput: the prompts' embeddings differ in length, or only some have any.
        PromptDiffers, EmbeddingsDiffer: a prompt contradicts what is stored; none is stored.
    """
    project = await projects.find_project(session, project_name)
    prompts = incoming_prompts(sent)
    _check_one_space(prompts, locations)
    await writing.share_turn_to_create(session, project.id)
    intake = await take_in(session, project.id, prompts)
    for outcome, where in zip(intake.outcomes, locations, strict=True):
        if isinstance(outcome, AppError):
            raise outcome.under(where)
    await finish(session, intake)
    return list(zip(prompts, intake.taken, strict=True))


def _check_one_space(prompts: Sequence[IncomingPrompt], locations: Sequence[Location]) -> None:
    for prompt, where in zip(prompts, locations, strict=True):
        if prompt.dimensions != prompts[0].dimensions:
            detail = "the prompts' embeddings differ in length, or only some have any"
            fault = FieldError(("responses",), detail)
            raise InvalidInput(detail, errors=(fault,)).under(where)


async def list_prompts(
    session: AsyncSession, project_name: str, *, status: str | None, after_id: int, limit: int
) -> list[ListedPrompt]:
    """A page of a project's prompts, newest last."""
    project = await projects.find_project(session, project_name)
    return await reading.list_prompts(
        session, project.id, status=status, after_id=after_id, limit=limit
    )


async def get_prompt(session: AsyncSession, public_id: str) -> tuple[Prompt, Sequence[Response]]:
    """A prompt as it was sent, and its responses by position."""
    prompt = await find_prompt(session, public_id)
    return prompt, await reading.responses_of(session, prompt.id)


async def find_prompt(session: AsyncSession, public_id: str) -> Prompt:
    """A prompt's row.

    Raises:
        UnknownPrompt: no prompt has that id.
    """
    prompt_id = decode(IdKind.PROMPT, public_id)
    prompt = None if prompt_id is None else await session.get(Prompt, prompt_id)
    if prompt is None:
        raise UnknownPrompt("no prompt has that id")
    return prompt


async def erase_prompt(session: AsyncSession, public_id: str) -> None:
    """Erase a prompt everywhere. The ledger keeps its entries, and what was spent stays spent.

    Raises:
        UnknownPrompt: no prompt has that id.
    """
    found = await find_prompt(session, public_id)
    await reading.wait_for_prompt(session, found.id)
    project = await projects.lock_project(session, found.project_id)
    prompt = await reading.lock_prompt(session, found.id)
    if prompt is None:
        raise UnknownPrompt("no prompt has that id")
    was_pending, was_failed = prompt.status == "pending", prompt.status == "failed"
    was_unplanned = prompt.group_id is None and not was_failed
    await erase_annotations(session, project.id, prompt.id)
    await writing.erase_prompt(session, project.id, prompt.id)
    await notify(session, Channel.PLAN_CHANGED, str(project.id))
    await writing.count_intake(
        session,
        project.id,
        prompts=-1,
        pending=-int(was_pending),
        unplanned=-int(was_unplanned),
        failed=-int(was_failed),
    )


async def retry_prompt(session: AsyncSession, public_id: str) -> Prompt:
    """Let the embedder try a failed prompt again.

    Raises:
        UnknownPrompt: no prompt has that id.
        PromptNotFailed: the prompt has not failed, or is being tried again already.
    """
    prompt = await find_prompt(session, public_id)
    if not await writing.try_again(session, prompt.id):
        raise PromptNotFailed("the prompt has not failed: there is nothing to try again")
    await announce(session, prompt.project_id, is_pending=True)
    await writing.count_as_pending(session, prompt.id, was_failed=True)
    await session.refresh(prompt)
    return prompt
