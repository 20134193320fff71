"""The prompts over HTTP; admins only."""

from typing import Annotated

from fastapi import APIRouter, Query, Request, Response

from app.accounts.dependencies import AdminKey
from app.http.json_route import JsonRoute
from app.http.paging import PageQuery
from app.http.problems import problems
from app.projects.schemas import ProjectQuery
from app.prompts import service
from app.prompts.addition import add_responses
from app.prompts.answers import prompt_summary, prompt_view, retried_prompt, taken_prompts
from app.prompts.metadata import add_metadata
from app.prompts.schemas import (
    ChangedResponses,
    NewMetadataList,
    NewPrompt,
    NewResponses,
    PromptList,
    PromptsBody,
    PromptView,
    RetriedPrompt,
    SimilarPrompts,
    Status,
    TakenPrompts,
    TakenResponses,
)
from app.prompts.similar import find_similar
from app.settings import DEFAULT_PROJECT, MAX_SIMILAR
from app.storage.notifications import Listener
from app.storage.sessions import Session, Sessions

router = APIRouter(prefix="/prompts", route_class=JsonRoute, tags=["prompts"])


@router.post(
    "",
    status_code=201,
    summary="Store prompts and their responses",
    responses=problems(401, 403, 404, 409, 413, 415, 422),
)
async def post_prompts(
    body: PromptsBody, session: Session, _: AdminKey, project: ProjectQuery = DEFAULT_PROJECT
) -> TakenPrompts:
    """One prompt, or up to 1000; all or nothing. Safe to repeat: the same prompt is unchanged."""
    if isinstance(body, NewPrompt):
        return taken_prompts(await service.take_prompts(session, project, [body], [("body",)]))
    locations = [("body", "prompts", index) for index in range(len(body.prompts))]
    return taken_prompts(await service.take_prompts(session, project, body.prompts, locations))


@router.post(
    "/{prompt_id}/responses",
    status_code=201,
    summary="Add responses to a prompt",
    responses=problems(401, 403, 404, 409, 413, 415, 422),
)
async def post_responses(
    prompt_id: str, body: NewResponses, session: Session, _: AdminKey
) -> TakenResponses:
    """For example responses sampled from a newer model. Safe to repeat."""
    return await add_responses(session, prompt_id, body.responses)


@router.patch(
    "/{prompt_id}/responses",
    summary="Add to the metadata of responses",
    responses=problems(401, 403, 404, 413, 415, 422),
)
async def patch_responses(
    prompt_id: str, body: NewMetadataList, session: Session, _: AdminKey
) -> ChangedResponses:
    """For example log-probabilities under a model. Other keys stay. All or nothing."""
    return ChangedResponses(updated=await add_metadata(session, prompt_id, body.responses))


@router.get("", summary="List prompts", responses=problems(401, 403, 404, 422))
async def list_prompts(
    session: Session,
    page: PageQuery,
    _: AdminKey,
    project: ProjectQuery = DEFAULT_PROJECT,
    status: Status | None = None,
) -> PromptList:
    """A project's prompts, newest last."""
    rows = await service.list_prompts(
        session, project, status=status, after_id=page.after_id, limit=page.limit
    )
    return PromptList(
        prompts=[prompt_summary(row) for row in rows],
        next_cursor=page.next_cursor([row.id for row in rows]),
    )


@router.get("/{prompt_id}", summary="Look at a prompt", responses=problems(401, 403, 404, 422))
async def get_prompt(prompt_id: str, session: Session, _: AdminKey) -> PromptView:
    """A prompt and its responses, exactly as they were sent."""
    return prompt_view(*await service.get_prompt(session, prompt_id))


@router.delete(
    "/{prompt_id}",
    status_code=204,
    summary="Erase a prompt",
    responses=problems(401, 403, 404, 422),
)
async def delete_prompt(prompt_id: str, session: Session, _: AdminKey) -> Response:
    """Its texts, embeddings and labels are erased everywhere; the ledger keeps its entries."""
    await service.erase_prompt(session, prompt_id)
    return Response(status_code=204)


@router.post(
    "/{prompt_id}/retry",
    summary="Try a failed prompt again",
    responses=problems(401, 403, 404, 409, 422),
)
async def retry_prompt(prompt_id: str, session: Session, _: AdminKey) -> RetriedPrompt:
    """The embedding model failed on one of its texts; the prompt waits for it once more."""
    return retried_prompt(await service.retry_prompt(session, prompt_id))


@router.get(
    "/{prompt_id}/similar",
    summary="Find similar prompts",
    response_model_exclude_unset=True,
    responses=problems(401, 403, 404, 409, 422, 503),
)
async def get_similar(
    prompt_id: str,
    request: Request,
    _: AdminKey,
    limit: Annotated[int, Query(ge=1, le=MAX_SIMILAR)] = 10,
) -> SimilarPrompts:
    """The prompts of the same project that ask the most similar things, nearest first.

    What counts is the vector that prompts are grouped by: of what a prompt asks, where the service
    embeds, and the caller's own otherwise. 409: it is not there yet.
    """
    sessions: Sessions = request.app.state.sessions
    listener: Listener = request.app.state.listener
    return SimilarPrompts(similar=await find_similar(sessions, listener, prompt_id, limit))
