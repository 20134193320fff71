"""Turn what is stored into what the calls answer."""

from collections.abc import Iterable, Sequence
from typing import cast

from app.prompts.addition import Addition
from app.prompts.incoming import DroppedResponse, IncomingPrompt
from app.prompts.intake import Taken
from app.prompts.matching import StoredResponse
from app.prompts.queries.reading import ListedPrompt
from app.prompts.schemas import (
    DroppedView,
    Named,
    PromptSummary,
    PromptView,
    ResponseView,
    SimilarPrompt,
    SimilarPrompts,
    Status,
    TakenPrompt,
    TakenPrompts,
    TakenResponses,
)
from app.prompts.service import WholePrompt
from app.prompts.similar import Neighbour
from app.storage.ids import IdKind, encode


def taken_prompts(taken: Sequence[tuple[IncomingPrompt, Taken]]) -> TakenPrompts:
    """The answer to prompts that were sent, in their order."""
    created = sum(each.created for _, each in taken)
    return TakenPrompts(
        prompts=[
            TakenPrompt(
                id=encode(IdKind.PROMPT, each.prompt.id),
                external_id=each.prompt.external_id,
                status=_status(each.prompt.status),
                created=each.created,
                responses=_responses(each.responses),
                dropped=_dropped(sent.kept.dropped),
            )
            for sent, each in taken
        ],
        created=created,
        unchanged=len(taken) - created,
    )


def taken_responses(addition: Addition) -> TakenResponses:
    """The answer to responses that were added."""
    return TakenResponses(
        id=encode(IdKind.PROMPT, addition.prompt.id),
        external_id=addition.prompt.external_id,
        status=_status(addition.status),
        created=addition.created,
        unchanged=len(addition.responses) - addition.created,
        responses=_responses(addition.responses),
        dropped=_dropped(addition.dropped),
    )


def prompt_summary(row: ListedPrompt) -> PromptSummary:
    """A prompt in a list."""
    return PromptSummary(
        id=encode(IdKind.PROMPT, row.id),
        external_id=row.external_id,
        prompt=row.content,
        status=_status(row.status),
        group=_group(row.group_id),
        responses=row.responses,
        created_at=row.created_at,
    )


def prompt_view(whole: WholePrompt) -> PromptView:
    """A prompt with its responses."""
    prompt = whole.prompt
    return PromptView(
        id=encode(IdKind.PROMPT, prompt.id),
        external_id=prompt.external_id,
        prompt=prompt.content,
        metadata=prompt.prompt_metadata,
        status=_status(prompt.status),
        group=_group(prompt.group_id),
        created_at=prompt.created_at,
        responses=[
            ResponseView(
                id=encode(IdKind.RESPONSE, each.id),
                external_id=each.external_id,
                text=each.text,
                model=each.model,
                score=each.score,
                reference=each.reference,
                metadata=each.response_metadata,
            )
            for each in whole.responses
        ],
    )


def similar_prompts(neighbours: Iterable[Neighbour]) -> SimilarPrompts:
    """The answer to a search for similar prompts."""
    return SimilarPrompts(
        similar=[
            SimilarPrompt(
                id=encode(IdKind.PROMPT, each.prompt_id),
                similarity=each.similarity,
                prompt=each.content,
            )
            for each in neighbours
        ]
    )


def _status(status: str) -> Status:
    return cast(Status, status)  # a constraint of the table allows no other


def _group(group_id: int | None) -> str | None:
    """A group's id holds the planner's number of it, which is no prompt's id."""
    return None if group_id is None else f"grp_{group_id}"


def _responses(responses: Iterable[StoredResponse]) -> list[Named]:
    return [
        Named(id=encode(IdKind.RESPONSE, each.id), external_id=each.external_id)
        for each in responses
    ]


def _dropped(dropped: Iterable[DroppedResponse]) -> list[DroppedView]:
    return [DroppedView(external_id=each.external_id, reason=each.reason) for each in dropped]
