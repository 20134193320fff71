"""Turn what is stored into what the calls answer."""

from collections.abc import Iterable, Sequence
from typing import cast

from app.prompts.incoming import IncomingPrompt
from app.prompts.intake import Taken
from app.prompts.matching import StoredResponse
from app.prompts.queries.reading import ListedPrompt
from app.prompts.schemas import (
    Named,
    PromptSummary,
    PromptView,
    ResponseView,
    RetriedPrompt,
    Status,
    TakenPrompt,
    TakenPrompts,
)
from app.storage.ids import IdKind, encode
from app.storage.tables import Prompt, Response


def taken_prompts(taken: Sequence[tuple[IncomingPrompt, Taken]]) -> TakenPrompts:
    """The answer to prompts that were sent, in their order."""
    created = sum(each.created for _, each in taken)
    return TakenPrompts(
        prompts=[
            TakenPrompt(
                id=encode(IdKind.PROMPT, each.prompt.id),
                external_id=each.prompt.external_id,
                status=known_status(each.prompt.status),
                created=each.created,
                responses=named(each.responses),
                dropped=sent.kept.dropped,
            )
            for sent, each in taken
        ],
        created=created,
        unchanged=len(taken) - created,
    )


def prompt_summary(row: ListedPrompt) -> PromptSummary:
    """A prompt in a list."""
    return PromptSummary(
        id=encode(IdKind.PROMPT, row.id),
        external_id=row.external_id,
        prompt=row.content,
        tools=row.tools,
        status=known_status(row.status),
        failure=row.failure,
        group=_group(row.group_id),
        responses=row.responses,
        created_at=row.created_at,
    )


def prompt_view(prompt: Prompt, responses: Iterable[Response]) -> PromptView:
    """A prompt with its responses."""
    return PromptView(
        id=encode(IdKind.PROMPT, prompt.id),
        external_id=prompt.external_id,
        prompt=prompt.content,
        tools=prompt.tools,
        metadata=prompt.prompt_metadata,
        status=known_status(prompt.status),
        failure=prompt.failure,
        group=_group(prompt.group_id),
        created_at=prompt.created_at,
        responses=[
            ResponseView(
                id=encode(IdKind.RESPONSE, each.id),
                external_id=each.external_id,
                text=each.text,
                tool_calls=each.tool_calls,
                model=each.model,
                score=each.score,
                reference=each.reference,
                round=each.round,
                metadata=each.response_metadata,
            )
            for each in responses
        ],
    )


def retried_prompt(prompt: Prompt) -> RetriedPrompt:
    """A prompt that is tried again."""
    return RetriedPrompt(
        id=encode(IdKind.PROMPT, prompt.id),
        external_id=prompt.external_id,
        status=known_status(prompt.status),
    )


def known_status(status: str) -> Status:
    """The status of a prompt's row."""
    return cast(Status, status)  # a constraint of the table allows no other


def _group(group_id: int | None) -> str | None:
    """A group's id holds the planner's number of it, which is no prompt's id."""
    return None if group_id is None else f"grp_{group_id}"


def named(responses: Iterable[StoredResponse]) -> list[Named]:
    """The ids of responses, ours and the caller's."""
    return [
        Named(id=encode(IdKind.RESPONSE, each.id), external_id=each.external_id)
        for each in responses
    ]
