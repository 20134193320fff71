"""Fields of a request that hold tool calls and tools. They are kept as they are sent."""

from collections.abc import Iterator, Sequence
from typing import Annotated, Any, Final, Literal

import orjson
from pydantic import (
    AfterValidator,
    BaseModel,
    ConfigDict,
    Field,
    PlainValidator,
    TypeAdapter,
    WithJsonSchema,
)

from app.formats.tool_calls import MAX_DEPTH, is_nested_within
from app.settings import MAX_EXTERNAL_ID_CHARACTERS

_TOO_LARGE_NUMBER: Final = 2.0**63
_STRING: Final = {"type": "string"}
_OBJECT: Final = {"type": "object"}
_CALL_SCHEMA: Final = {
    "type": "object",
    "properties": {
        "id": {"type": ["string", "null"]},
        "type": {"enum": ["function", None]},
        "function": {
            "type": "object",
            "properties": {
                "name": {**_STRING, "minLength": 1, "maxLength": MAX_EXTERNAL_ID_CHARACTERS},
                "arguments": {"anyOf": [_OBJECT, _STRING]},
            },
            "required": ["name", "arguments"],
            "additionalProperties": False,
        },
    },
    "required": ["function"],
    "additionalProperties": False,
}


class _Checked(BaseModel):
    model_config = ConfigDict(extra="forbid", strict=True)


def _arguments(sent: Any) -> Any:
    if not isinstance(sent, str | dict):
        raise ValueError("must be an object, or a string")
    return sent


_Name = Annotated[str, Field(min_length=1, max_length=MAX_EXTERNAL_ID_CHARACTERS)]


class _CalledFunction(_Checked):
    name: _Name
    arguments: Annotated[Any, PlainValidator(_arguments)]


class _ToolCall(_Checked):
    id: _Name | None = None
    type: Literal["function"] | None = None
    function: _CalledFunction


_tool_calls = TypeAdapter(list[_ToolCall])


def _checked_calls(sent: Any) -> list[dict[str, Any]] | None:
    """The calls as they were sent; none at all where the list is empty."""
    _tool_calls.validate_python(sent)
    _check_values(sent)
    return sent or None


def _checked_tools(sent: list[dict[str, Any]]) -> list[dict[str, Any]] | None:
    for number, tool in enumerate(sent):
        function = tool.get("function", tool)
        name = function.get("name") if isinstance(function, dict) else None
        if not isinstance(name, str) or not name.strip():
            raise ValueError(f"the tool at {number} has no name, in `function` or beside it")
    _check_values(sent)
    return sent or None


def _check_values(sent: Any) -> None:
    if not is_nested_within(sent, MAX_DEPTH):
        raise ValueError(f"is nested more than {MAX_DEPTH} levels deep")
    if any(abs(number) >= _TOO_LARGE_NUMBER for number in _floats(sent)):
        raise ValueError("holds a number too large to be kept exactly: send it as a string")


def _floats(value: Any) -> Iterator[float]:
    if isinstance(value, float):
        yield value
    elif isinstance(value, dict | list):
        for each in value.values() if isinstance(value, dict) else value:
            yield from _floats(each)


def characters(sent: Sequence[dict[str, Any]] | None) -> int:
    """How many characters calls or tools have as JSON; none where there are none."""
    return len(orjson.dumps(sent).decode()) if sent else 0


ToolCalls = Annotated[
    list[dict[str, Any]] | None,
    PlainValidator(lambda sent: None if sent is None else _checked_calls(sent)),
    WithJsonSchema(
        {
            "anyOf": [{"type": "array", "items": _CALL_SCHEMA}, {"type": "null"}],
            "description": "Calls of tools, kept as they are sent. Arguments are an object, or a"
            " string as the model wrote it.",
        }
    ),
]
"""The tool calls of a turn or a response. An empty list is as none."""

Tools = Annotated[
    list[dict[str, Any]],
    AfterValidator(_checked_tools),
    WithJsonSchema(
        {
            "type": "array",
            "items": _OBJECT,
            "description": "The tools that the model could call, as JSON schemas:"
            ' `{"type": "function", "function": {"name", "description", "parameters"}}`. Kept as'
            " they are sent.",
        }
    ),
]
"""The tools of a prompt. An empty list is as none."""
