"""Fields of a request that check themselves: a prompt's content, metadata, the caller's ids."""

from collections.abc import Mapping, Sequence
from typing import Annotated, Any, Literal

import orjson
from pydantic import (
    AfterValidator,
    BaseModel,
    BeforeValidator,
    ConfigDict,
    Field,
    TypeAdapter,
    ValidationError,
    ValidationInfo,
    WrapValidator,
    field_validator,
    model_validator,
)
from pydantic_core import InitErrorDetails, PydanticCustomError

from app.prompts.tools import ToolCalls, characters
from app.settings import MAX_EXTERNAL_ID_CHARACTERS, MAX_METADATA_BYTES, MAX_TEXT_CHARACTERS

_MAX_METADATA_DEPTH = 64
_TEXT_ONLY = "is not taken: this service shows text only"
_NOT_TAKEN: Mapping[str, str] = {
    **dict.fromkeys(("image", "images", "audio", "audios", "video", "videos"), _TEXT_ONLY),
    "function_call": "is not taken: send `tool_calls`, which have taken its place",
    "functions": "is not taken: send `tools`, which have taken its place",
}
"""Fields of other services that callers may expect here, and what to do instead."""


class Sent(BaseModel):
    """What a caller sends. An unknown field is refused: it is a typing error."""

    # Pydantic knows no arrays, which embeddings are.
    model_config = ConfigDict(extra="forbid", strict=True, arbitrary_types_allowed=True)

    @model_validator(mode="before")
    @classmethod
    def _refuse_in_plain_words(cls, sent: Any) -> Any:
        names = _NOT_TAKEN.keys() & sent.keys() if isinstance(sent, dict) else ()
        if names:
            raise ValidationError.from_exception_data(
                cls.__name__,
                [
                    InitErrorDetails(
                        type=PydanticCustomError("not_taken", _NOT_TAKEN[name]),
                        loc=(name,),
                        input=None,
                    )
                    for name in sorted(names)
                ],
            )
        return sent


def is_too_large(metadata: dict[str, Any]) -> bool:
    """Whether metadata take more room than is allowed."""
    return len(orjson.dumps(metadata)) > MAX_METADATA_BYTES


def _small_metadata(metadata: dict[str, Any]) -> dict[str, Any]:
    try:
        too_large = is_too_large(metadata)
    except orjson.JSONEncodeError:
        raise ValueError("is nested too deeply") from None
    if too_large:
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


_OwnName = Annotated[str, Field(min_length=1, max_length=MAX_EXTERNAL_ID_CHARACTERS)]


def _one_text(sent: Any) -> Any:
    """Refuse the parts of a content: texts could be joined in several ways, others not shown."""
    if not isinstance(sent, list):
        return sent
    if all(isinstance(part, dict) and part.get("type") == "text" for part in sent):
        raise ValueError("must be one string, not a list of parts: join the texts")
    raise ValueError("must be one string, not a list of parts: this service shows text only")


class Message(Sent):
    """One turn of a chat. A field that is null is as one left out, except the content."""

    role: Literal["system", "user", "assistant", "tool"]
    tool_calls: ToolCalls = None
    tool_call_id: _OwnName | None = None
    name: _OwnName | None = None
    content: Annotated[str | None, BeforeValidator(_one_text), Field(validate_default=True)] = None

    @field_validator("tool_calls")
    @classmethod
    def _calls_of_the_assistant(cls, calls: ToolCalls, info: ValidationInfo) -> ToolCalls:
        if calls and info.data.get("role", "assistant") != "assistant":
            raise ValueError("only an assistant's turn has tool calls")
        return calls

    @field_validator("tool_call_id")
    @classmethod
    def _id_of_a_result(cls, tool_call_id: str | None, info: ValidationInfo) -> str | None:
        if tool_call_id is not None and info.data.get("role", "tool") != "tool":
            raise ValueError("only a tool's turn has the id of a tool call")
        return tool_call_id

    @field_validator("content")
    @classmethod
    def _content_or_calls(cls, content: str | None, info: ValidationInfo) -> str | None:
        if content is None and "tool_calls" in info.data and not info.data["tool_calls"]:
            raise ValueError("must be a string; only a turn with tool calls may have none")
        return content

    def as_stored(self) -> dict[str, Any]:
        """What was sent, without fields that are null; the content stays null if it was sent so."""
        stored: dict[str, Any] = {"role": self.role}
        if "content" in self.model_fields_set:
            stored["content"] = self.content
        others = {
            "tool_calls": self.tool_calls,
            "tool_call_id": self.tool_call_id,
            "name": self.name,
        }
        return stored | {name: value for name, value in others.items() if value is not None}


_messages = TypeAdapter(list[Message])


def _content(sent: Any, _: object) -> str | list[Message]:
    # The errors of a pydantic union would name its members beside the field.
    if isinstance(sent, list):
        messages = _messages.validate_python(sent)
        _check_turns(messages)
        _check_text(
            [message.content or "" for message in messages],
            sum(characters(message.tool_calls) for message in messages),
        )
        return messages
    if isinstance(sent, str):
        _check_text([sent])
        return sent
    raise ValueError("must be a string or a list of chat messages")


def _check_turns(messages: Sequence[Message]) -> None:
    if not messages:
        raise ValueError("must have at least one message")
    last = messages[-1]
    if last.role not in ("user", "tool"):
        raise ValueError("must end with the turn of the user or of a tool")
    if last.role == "user" and not (last.content or "").strip():
        raise ValueError("must not end with an empty turn")


def _check_text(texts: Sequence[str], in_calls: int = 0) -> None:
    if not in_calls and not any(text.strip() for text in texts):
        raise ValueError("must not be empty")
    if sum(map(len, texts)) + in_calls > MAX_TEXT_CHARACTERS:
        raise ValueError(f"must have at most {MAX_TEXT_CHARACTERS} characters")


PromptContent = Annotated[str | list[Message], WrapValidator(_content)]
"""A prompt as it is sent: a string, or chat messages that end with the user's or a tool's turn."""
