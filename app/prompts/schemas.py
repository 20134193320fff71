"""What the prompts' calls take. Text comes in exactly as it is sent, or not at all."""

from collections.abc import Sequence
from typing import Annotated, Any, Literal

import orjson
from pydantic import (
    AfterValidator,
    BaseModel,
    ConfigDict,
    Field,
    TypeAdapter,
    ValidationInfo,
    WrapValidator,
    field_validator,
)

from app.prompts.embedding_field import Embedding
from app.prompts.repeats import keep_distinct
from app.settings import (
    MAX_EXTERNAL_ID_CHARACTERS,
    MAX_METADATA_BYTES,
    MAX_PROMPTS_PER_REQUEST,
    MAX_RESPONSES,
    MAX_TEXT_CHARACTERS,
    MIN_RESPONSES,
)

_MAX_METADATA_DEPTH = 64
_PROMPT_EXAMPLE: dict[str, Any] = {
    "id": "my-prompt-17",
    "prompt": "Explain DPO.",
    "responses": [
        {"id": "sft-a", "text": "DPO trains on preferences directly.", "model": "sft-v3"},
        {"id": "sft-b", "text": "It is a kind of engine oil.", "reference": True},
    ],
    "metadata": {"source": "wiki"},
}


class _Sent(BaseModel):
    # A field that is not known is a typo, and told; arrays are no pydantic types.
    model_config = ConfigDict(extra="forbid", strict=True, arbitrary_types_allowed=True)


def _small_metadata(metadata: dict[str, Any]) -> dict[str, Any]:
    try:
        size = len(orjson.dumps(metadata))
    except orjson.JSONEncodeError:
        raise ValueError("is nested too deeply") from None
    if size > MAX_METADATA_BYTES:
        raise ValueError(f"is over {MAX_METADATA_BYTES} bytes as JSON")
    if _depth(metadata) > _MAX_METADATA_DEPTH:
        raise ValueError(f"is nested more than {_MAX_METADATA_DEPTH} levels deep")
    return metadata


def _depth(value: Any) -> int:
    if isinstance(value, dict):
        return 1 + max(map(_depth, value.values()), default=0)
    if isinstance(value, list):
        return 1 + max(map(_depth, value), default=0)
    return 0


ExternalId = Annotated[str, Field(min_length=1, max_length=MAX_EXTERNAL_ID_CHARACTERS)]
Metadata = Annotated[dict[str, Any], AfterValidator(_small_metadata)]
Content = str | list[dict[str, str]]
"""A prompt as it is stored: a string, or the roles and contents of chat messages."""


class Message(_Sent):
    """One turn of a chat."""

    role: Literal["system", "user", "assistant", "tool"]
    content: str


_messages = TypeAdapter(list[Message])


def _content(sent: Any, _: object) -> str | list[Message]:
    """Told apart by hand, so that an error names the message and not the kinds of prompt."""
    if isinstance(sent, list):
        messages = _messages.validate_python(sent)
        _check_turns(messages)
        _check_text([message.content for message in messages])
        return messages
    if isinstance(sent, str):
        _check_text([sent])
        return sent
    raise ValueError("must be a string or a list of chat messages")


def _check_turns(messages: Sequence[Message]) -> None:
    if not messages:
        raise ValueError("must have at least one message")
    if messages[-1].role != "user":
        raise ValueError("must end with the user's turn")
    if not messages[-1].content.strip():
        raise ValueError("must not end with an empty turn")


def _check_text(texts: Sequence[str]) -> None:
    if not any(text.strip() for text in texts):
        raise ValueError("must not be empty")
    if sum(map(len, texts)) > MAX_TEXT_CHARACTERS:
        raise ValueError(f"must have at most {MAX_TEXT_CHARACTERS} characters")


class NewResponse(_Sent):
    """One candidate answer to a prompt."""

    id: ExternalId | None = None
    text: Annotated[str, Field(max_length=MAX_TEXT_CHARACTERS)]
    model: Annotated[str, Field(max_length=MAX_EXTERNAL_ID_CHARACTERS)] | None = None
    score: Annotated[float, Field(allow_inf_nan=False)] | None = None
    reference: bool = False
    metadata: Metadata | None = None
    embedding: Embedding | None = None


def _check_responses(responses: list[NewResponse]) -> list[NewResponse]:
    _check_kept(responses)
    return responses


def _check_kept(responses: list[NewResponse]) -> int:
    """How many of the responses are kept, which have to go together."""
    named = [response.id for response in responses if response.id is not None]
    if len(named) != len(set(named)):
        raise ValueError("two responses have the same id")
    if sum(response.reference for response in responses) > 1:
        raise ValueError("more than one response is the reference")
    kept = [responses[place] for place in keep_distinct([each.text for each in responses]).kept]
    lengths = {None if each.embedding is None else len(each.embedding) for each in kept}
    if len(lengths) > 1:
        if None in lengths:
            raise ValueError("some responses have an embedding and some have none")
        raise ValueError("the embeddings have different lengths")
    return len(kept)


class NewPrompt(_Sent):
    """A prompt and its responses. Without an ``id`` it is known by its texts."""

    model_config = ConfigDict(json_schema_extra={"examples": [_PROMPT_EXAMPLE]})

    id: ExternalId | None = None
    prompt: Annotated[str | list[Message], WrapValidator(_content)]
    responses: Annotated[
        list[NewResponse], Field(min_length=MIN_RESPONSES, max_length=MAX_RESPONSES)
    ]
    embedding: Embedding | None = None
    metadata: Metadata | None = None

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


class NewPrompts(_Sent):
    """Several prompts, of which all are stored or none."""

    model_config = ConfigDict(json_schema_extra={"examples": [{"prompts": [_PROMPT_EXAMPLE]}]})

    prompts: Annotated[list[NewPrompt], Field(min_length=1, max_length=MAX_PROMPTS_PER_REQUEST)]


def _one_or_many(sent: Any, _: object) -> NewPrompt | NewPrompts:
    if isinstance(sent, dict) and "prompts" in sent:
        return NewPrompts.model_validate(sent)
    return NewPrompt.model_validate(sent)


PromptsBody = Annotated[NewPrompt | NewPrompts, WrapValidator(_one_or_many)]
"""One prompt, or ``{"prompts": [...]}``; told apart by hand: errors name the field alone."""


class NewResponses(_Sent):
    """Further responses to a prompt that is stored."""

    model_config = ConfigDict(
        json_schema_extra={"examples": [{"responses": [{"id": "rl-a", "text": "A third try."}]}]}
    )

    responses: Annotated[
        list[NewResponse],
        Field(min_length=1, max_length=MAX_RESPONSES),
        AfterValidator(_check_responses),
    ]
