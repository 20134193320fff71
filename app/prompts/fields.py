"""Fields of a request that check themselves: a prompt's content, metadata, the caller's ids."""

from collections.abc import Sequence
from typing import Annotated, Any, Literal

import orjson
from pydantic import AfterValidator, BaseModel, ConfigDict, Field, TypeAdapter, WrapValidator

from app.settings import MAX_EXTERNAL_ID_CHARACTERS, MAX_METADATA_BYTES, MAX_TEXT_CHARACTERS

_MAX_METADATA_DEPTH = 64


class Sent(BaseModel):
    """What a caller sends. An unknown field is refused: it is a typing error."""

    # Pydantic knows no arrays, which embeddings are.
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


class Message(Sent):
    """One turn of a chat."""

    role: Literal["system", "user", "assistant", "tool"]
    content: str


_messages = TypeAdapter(list[Message])


def _content(sent: Any, _: object) -> str | list[Message]:
    # The errors of a pydantic union would name its members beside the field.
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


PromptContent = Annotated[str | list[Message], WrapValidator(_content)]
"""A prompt as it is sent: a string, or chat messages that end with the user's turn."""
