"""What the calls of prompts take and answer. Texts are stored exactly as they are sent."""

from datetime import datetime
from typing import Annotated, Any, Literal

from pydantic import (
    AfterValidator,
    BaseModel,
    ConfigDict,
    Field,
    ValidationInfo,
    WrapValidator,
    field_validator,
    model_validator,
)

from app.formats.tool_calls import Exact, exact, render_response, said
from app.prompts.embeddings import Embedding
from app.prompts.fields import ExternalId, Message, Metadata, PromptContent, Sent
from app.prompts.text import Reason, keep_distinct
from app.prompts.tools import ToolCalls, Tools, characters
from app.settings import (
    MAX_EXTERNAL_ID_CHARACTERS,
    MAX_PROMPTS_PER_REQUEST,
    MAX_RESPONSES,
    MAX_ROUND,
    MAX_TEXT_CHARACTERS,
    MIN_RESPONSES,
)

Content = str | list[dict[str, Any]]
"""A prompt as it is stored: a string, or chat messages."""
Status = Literal["pending", "ready", "failed"]

_PROMPT_EXAMPLE: dict[str, Any] = {
    "id": "my-prompt-17",
    "prompt": "Explain DPO.",
    "responses": [
        {"id": "sft-a", "text": "DPO trains on preferences directly.", "model": "sft-v3"},
        {"id": "sft-b", "text": "It is a kind of engine oil.", "reference": True},
    ],
    "metadata": {"source": "wiki"},
}
_NAMED: dict[str, Any] = {"id": "prm_000000000002a", "external_id": "my-prompt-17"}
_RESPONSE: dict[str, Any] = {"id": "rsp_000000000004c", "external_id": "sft-a"}
_STORED: dict[str, Any] = {
    **_NAMED,
    "prompt": "Explain DPO.",
    "tools": None,
    "status": "ready",
    "failure": None,
    "group": "grp_74",
    "created_at": "2026-01-01T00:00:00Z",
}
_DROPPED: dict[str, Any] = {"external_id": "sft-c", "reason": "duplicate"}


def _example(example: dict[str, Any]) -> ConfigDict:
    return ConfigDict(json_schema_extra={"examples": [example]})


class NewResponse(Sent):
    """One candidate answer to a prompt."""

    id: ExternalId | None = None
    text: Annotated[str, Field(max_length=MAX_TEXT_CHARACTERS)]
    tool_calls: ToolCalls = None
    model: Annotated[str, Field(max_length=MAX_EXTERNAL_ID_CHARACTERS)] | None = None
    score: Annotated[float, Field(allow_inf_nan=False)] | None = None
    reference: bool = False
    round: Annotated[
        int,
        Field(
            ge=1,
            le=MAX_ROUND,
            description="Which turn of sampling, labelling and training it was sampled in.",
        ),
    ] = 1
    metadata: Metadata | None = None
    embedding: Embedding | None = None

    @model_validator(mode="before")
    @classmethod
    def _calls_without_a_text(cls, sent: Any) -> Any:
        """Beside calls, a text that is null or left out is an empty one."""
        if isinstance(sent, dict) and sent.get("tool_calls") and sent.get("text") is None:
            return {**sent, "text": ""}
        return sent

    @field_validator("tool_calls")
    @classmethod
    def _not_too_long(cls, calls: ToolCalls, info: ValidationInfo) -> ToolCalls:
        if len(info.data.get("text", "")) + characters(calls) > MAX_TEXT_CHARACTERS:
            raise ValueError(f"must have at most {MAX_TEXT_CHARACTERS} characters, with the text")
        return calls

    @property
    def said(self) -> str:
        """What it says, in text and calls: empty or the same as another's, it is dropped."""
        return said(self.text, self.tool_calls)

    @property
    def rendered(self) -> str:
        """What an annotator reads, and what is embedded."""
        return render_response(self.text, self.tool_calls)

    @property
    def exact(self) -> Exact:
        """What identifies it: a response with the same is the same, sent again."""
        return exact(self.text, self.tool_calls)


def _check_responses(responses: list[NewResponse]) -> list[NewResponse]:
    _check_kept(responses)
    return responses


def _check_kept(responses: list[NewResponse]) -> int:
    """How many responses are kept. Those kept must all have embeddings of one length, or none."""
    named = [response.id for response in responses if response.id is not None]
    if len(named) != len(set(named)):
        raise ValueError("two responses have the same id")
    references = [response.round for response in responses if response.reference]
    if len(references) != len(set(references)):
        raise ValueError("more than one response of a round is the reference")
    kept = [responses[index] for index in keep_distinct([each.said for each in responses]).kept]
    lengths = {None if each.embedding is None else len(each.embedding) for each in kept}
    if len(lengths) > 1:
        if None in lengths:
            raise ValueError("some responses have an embedding and some have none")
        raise ValueError("the embeddings have different lengths")
    return len(kept)


def _characters(prompt: str | list[Message]) -> int:
    if isinstance(prompt, str):
        return len(prompt)
    return sum(len(turn.content or "") + characters(turn.tool_calls) for turn in prompt)


class NewPrompt(Sent):
    """A prompt and its responses. Without an ``id`` it is identified by its texts."""

    model_config = _example(_PROMPT_EXAMPLE)

    id: ExternalId | None = None
    prompt: PromptContent
    responses: Annotated[
        list[NewResponse], Field(min_length=MIN_RESPONSES, max_length=MAX_RESPONSES)
    ]
    tools: Tools | None = None
    embedding: Embedding | None = None
    metadata: Metadata | None = None

    @field_validator("tools")
    @classmethod
    def _not_too_long(cls, tools: Tools | None, info: ValidationInfo) -> Tools | None:
        prompt = info.data.get("prompt")
        if tools and prompt and _characters(prompt) + characters(tools) > MAX_TEXT_CHARACTERS:
            raise ValueError(f"must have at most {MAX_TEXT_CHARACTERS} characters, with the prompt")
        return tools

    @field_validator("responses")
    @classmethod
    def _responses(cls, responses: list[NewResponse]) -> list[NewResponse]:
        if _check_kept(responses) < MIN_RESPONSES:
            raise ValueError("fewer than two responses are left without empty and repeated texts")
        return responses

    @field_validator("embedding")
    @classmethod
    def _same_length(cls, embedding: Embedding | None, info: ValidationInfo) -> Embedding | None:
        responses: list[NewResponse] | None = info.data.get("responses")
        if embedding is None or responses is None:
            return embedding
        lengths = {len(each.embedding) for each in responses if each.embedding is not None}
        if not lengths:
            raise ValueError("is given, but the responses have none")
        if lengths != {len(embedding)}:
            raise ValueError("has another length than the responses' embeddings")
        return embedding


class NewPrompts(Sent):
    """Several prompts: all of them are stored, or none."""

    model_config = _example({"prompts": [_PROMPT_EXAMPLE]})

    prompts: Annotated[list[NewPrompt], Field(min_length=1, max_length=MAX_PROMPTS_PER_REQUEST)]


def _one_or_many(sent: Any, _: object) -> NewPrompt | NewPrompts:
    if isinstance(sent, dict) and "prompts" in sent:
        return NewPrompts.model_validate(sent)
    return NewPrompt.model_validate(sent)


PromptsBody = Annotated[NewPrompt | NewPrompts, WrapValidator(_one_or_many)]
"""One prompt, or ``{"prompts": [...]}``. Errors name the field, as a union's do not."""


class NewResponses(Sent):
    """More responses to a stored prompt."""

    model_config = _example({"responses": [{"id": "rl-a", "text": "A third try."}]})

    responses: Annotated[
        list[NewResponse],
        Field(min_length=1, max_length=MAX_RESPONSES),
        AfterValidator(_check_responses),
    ]


class NewMetadata(Sent):
    """Keys to add to a response's metadata. ``id`` is the caller's own, or ours."""

    id: ExternalId
    metadata: Metadata


class NewMetadataList(Sent):
    """Metadata of several responses to one prompt."""

    model_config = _example({"responses": [{"id": "sft-a", "metadata": {"logprob_safe": -41.2}}]})

    responses: Annotated[list[NewMetadata], Field(min_length=1, max_length=MAX_RESPONSES)]


class ChangedResponses(BaseModel):
    """How many responses a request changed."""

    model_config = _example({"updated": 1})

    updated: int


class Named(BaseModel):
    """A stored thing: our id, and the caller's own if it has one."""

    id: str
    external_id: str | None


class DroppedView(BaseModel):
    """A response that was not stored."""

    external_id: str | None
    reason: Reason


class TakenPrompt(Named):
    """A prompt as it is stored now; ``responses`` are those sent, less the dropped ones."""

    status: Status
    created: bool
    responses: list[Named]
    dropped: list[DroppedView]


class TakenPrompts(BaseModel):
    """What was done with the prompts of a request, in their order."""

    model_config = _example(
        {
            "prompts": [
                {
                    **_NAMED,
                    "status": "pending",
                    "created": True,
                    "responses": [_RESPONSE],
                    "dropped": [_DROPPED],
                }
            ],
            "created": 1,
            "unchanged": 0,
        }
    )

    prompts: list[TakenPrompt]
    created: int
    unchanged: int


class TakenResponses(Named):
    """What was done with the responses of a request."""

    model_config = _example(
        {
            **_NAMED,
            "status": "pending",
            "created": 1,
            "unchanged": 0,
            "responses": [_RESPONSE],
            "dropped": [_DROPPED],
        }
    )

    status: Status
    created: int
    unchanged: int
    responses: list[Named]
    dropped: list[DroppedView]


class RetriedPrompt(Named):
    """A prompt that waits for the embedding model once more."""

    model_config = _example({**_NAMED, "status": "pending"})

    status: Status


class PromptSummary(Named):
    """A prompt in a list. ``failure`` says why it has ``failed``; it names the text at fault."""

    prompt: Content
    tools: list[dict[str, Any]] | None
    status: Status
    failure: str | None
    group: str | None
    responses: int
    created_at: datetime


class PromptList(BaseModel):
    """A page of prompts, newest last."""

    model_config = _example({"prompts": [{**_STORED, "responses": 4}], "next_cursor": None})

    prompts: list[PromptSummary]
    next_cursor: str | None


class ResponseView(Named):
    """A response as it was sent."""

    text: str
    tool_calls: list[dict[str, Any]] | None
    model: str | None
    score: float | None
    reference: bool
    round: int
    metadata: dict[str, Any] | None


class PromptView(Named):
    """A prompt as it was sent, and its responses; ``group`` is null until it is fixed."""

    model_config = _example(
        {
            **_STORED,
            "metadata": {"source": "wiki"},
            "responses": [
                {
                    **_RESPONSE,
                    "text": "DPO trains on preferences directly.",
                    "tool_calls": None,
                    "model": "sft-v3",
                    "score": None,
                    "reference": False,
                    "round": 1,
                    "metadata": None,
                }
            ],
        }
    )

    prompt: Content
    tools: list[dict[str, Any]] | None
    metadata: dict[str, Any] | None
    status: Status
    failure: str | None
    group: str | None
    created_at: datetime
    responses: list[ResponseView]


class SimilarPrompt(BaseModel):
    """A prompt near another: the cosine of their embeddings, and its content.

    ``tools`` stand only where the prompt has any.
    """

    id: str
    similarity: float
    prompt: Content
    tools: list[dict[str, Any]] | None = None


class SimilarPrompts(BaseModel):
    """The nearest prompts, most similar first."""

    model_config = _example(
        {"similar": [{"id": "prm_000000000003b", "similarity": 0.87, "prompt": "What is DPO?"}]}
    )

    similar: list[SimilarPrompt]
