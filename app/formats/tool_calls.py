"""Tool calls of a response or a turn: what they say, and how they read as text. Pure.

A call is an object as OpenAI's API has it: ``{"function": {"name", "arguments"}}``, perhaps with an
``id`` and a ``type``; the arguments are an object, or a string of JSON, or whatever a model wrote.
"""

import json
from collections.abc import Mapping, Sequence
from decimal import Decimal
from typing import Any, Final

import orjson

ToolCalls = Sequence[Mapping[str, Any]]
Exact = str | tuple[str, str]
"""What identifies a response: its text, or its text and its calls."""

MAX_DEPTH: Final = 64
"""How deeply calls and tools may be nested: what writes an answer stops at some 250 levels."""
_LARGEST_INTEGER: Final = 2.0**63
_BETWEEN: Final = "\x00"  # which no stored text holds


def exact(text: str, tool_calls: ToolCalls | None) -> Exact:
    """What identifies a response.

    The order of keys and the writing of numbers do not count: not every column keeps them.
    """
    return (text, _canonical(tool_calls)) if tool_calls else text


def said(text: str, tool_calls: ToolCalls | None) -> str:
    """What a response says: two that say the same cannot be compared, and an empty one nothing.

    White space around the text does not count, nor do the ids of calls, which are drawn for each,
    nor whether arguments are an object or the string of one.
    """
    said_text = text.strip()
    if not tool_calls:
        return said_text
    calls = [[call["function"]["name"], arguments_of(call)] for call in tool_calls]
    return said_text + _BETWEEN + _canonical(calls)


def is_same(one: Any, other: Any) -> bool:
    """Whether two JSON values are the same.

    Python's ``==`` would not do: there true is 1, and 3.3e16 need not be 33000000000000000.
    """
    if isinstance(one, str) or isinstance(other, str):
        return bool(one == other)
    return _canonical(one) == _canonical(other)


def render_calls(tool_calls: ToolCalls) -> str:
    """Calls as a reader sees them, one a line: ``get_weather({"city": "Paris"})``.

    The same calls always give the same text: keys are sorted.
    """
    return "\n".join(f"{call['function']['name']}({_shown(call)})" for call in tool_calls)


def render_response(text: str, tool_calls: ToolCalls | None) -> str:
    """A text, and below it its calls: what an annotator reads, and what is embedded."""
    if not tool_calls:
        return text
    calls = render_calls(tool_calls)
    return f"{text}\n{calls}" if text else calls


def canonical(value: Any) -> Any:
    """The value with each number written in one way: 2.0 and 2 are the same in JSON."""
    if isinstance(value, float):
        is_integer = value.is_integer() and abs(value) < _LARGEST_INTEGER
        # By its digits, as the database keeps it: 4.1e16 need not be that number to the last one.
        return int(Decimal(repr(value))) if is_integer else value
    if isinstance(value, Mapping):
        return {key: canonical(item) for key, item in value.items()}
    if isinstance(value, list | tuple):
        return [canonical(item) for item in value]
    return value


def _canonical(value: Any) -> str:
    return orjson.dumps(canonical(value), option=orjson.OPT_SORT_KEYS).decode()


def arguments_of(call: Mapping[str, Any]) -> Any:
    """The arguments as an object, also where a string holds one; else the string itself.

    A string stays one where its object could not be written back: it holds integers of more than 64
    bits, or is nested too deeply.
    """
    sent = call["function"]["arguments"]
    if not isinstance(sent, str):
        return sent
    try:
        # Unlike orjson, this reads integers of any size exactly.
        parsed = json.loads(sent, parse_constant=_refuse)
        orjson.dumps(parsed)
    except (ValueError, RecursionError, orjson.JSONEncodeError):
        return sent
    is_object = isinstance(parsed, dict) and is_nested_within(parsed, MAX_DEPTH)
    return parsed if is_object else sent


def is_nested_within(value: Any, depth: int) -> bool:
    """Whether no list or object in the value lies deeper than that; the value itself is at 1."""
    # Level by level and no recursion: JSON may be nested deeper than Python allows calls to be.
    level = [value]
    for _ in range(depth + 1):
        level = [each for each in level if isinstance(each, dict | list)]
        if not level:
            return True
        level = [
            item for each in level for item in (each.values() if isinstance(each, dict) else each)
        ]
    return False


def _refuse(constant: str) -> None:
    raise ValueError(f"{constant} is no JSON")


def _shown(call: Mapping[str, Any]) -> str:
    arguments = arguments_of(call)
    if isinstance(arguments, str):
        return arguments
    return json.dumps(canonical(arguments), ensure_ascii=False, sort_keys=True)
