"""Chat messages, however a file writes them. Pure.

A message is ``{"role", "content"}``, or ``{"from", "value"}`` as ShareGPT has it, and a
conversation is a list of them or a string with the list's JSON.
"""

import re
from collections.abc import Mapping, Sequence
from contextlib import suppress
from typing import Any, Final

from app.errors import InvalidInput
from app.formats.json import parse_json
from app.formats.row import Row, decoded, refuse_repeats
from app.formats.values import text_or_empty

Messages = list[dict[str, Any]]

ROLES: Final = {
    "system": "system",
    "user": "user",
    "human": "user",
    "prompter": "user",
    "assistant": "assistant",
    "gpt": "assistant",
    "chatgpt": "assistant",
    "model": "assistant",
    "bot": "assistant",
    "ai": "assistant",
    "tool": "tool",
    "observation": "tool",
}
"""What speakers are called in files, in lower case, and their roles here."""

_KEPT: Final = ("name", "tool_calls", "tool_call_id")
_SPEAKER_KEY = re.compile(r"['\"](role|from)\\?['\"]\s*:")
_CONTENT_KEY = re.compile(r"['\"](content|value)\\?['\"]\s*:")
_BEGINS_LIST = re.compile(r"\W*(array\()?[\[{]")
_LOOKED_AT = 500


def conversation(row: Row, name: str) -> Messages | None:
    """The column's messages; None, and not taken, where it holds a string or anything else.

    Raises:
        InvalidInput: it is a list of messages written by Python's ``str``, and no JSON.
    """
    value = row.peek(name)
    messages = _messages(value)
    if messages is not None:
        row.take(name)
        return [_message(part) for part in row.parts(messages, name)]
    if isinstance(value, str) and _looks_like_messages(value):
        raise InvalidInput(
            f"{row.where(name)}: looks like messages, but is no JSON (as Python prints them, or cut"
            " off): write them with `json.dumps`"
        )
    return None


def _looks_like_messages(text: str) -> bool:
    """Whether a text begins like messages, and cannot be parsed."""
    start = text[:_LOOKED_AT]
    return (
        _BEGINS_LIST.match(start) is not None
        and _SPEAKER_KEY.search(start) is not None
        and _CONTENT_KEY.search(start) is not None
        and isinstance(decoded(text), str)
    )


def _messages(value: Any) -> list[Any] | None:
    if isinstance(value, str) and value.lstrip()[:2] in ('"[', '"{'):
        # JSON within JSON.
        with suppress(InvalidInput):
            value = parse_json(value.encode())
    found = decoded(value)
    messages = [found] if isinstance(found, dict) else found
    is_conversation = isinstance(messages, list) and messages and all(map(is_message, messages))
    if not is_conversation:
        return None
    refuse_repeats(value, found)
    return messages


def is_text(value: Any) -> bool:
    """Whether a value is a string, and not the JSON of messages."""
    return isinstance(value, str) and _messages(value) is None


def is_message(value: Any) -> bool:
    """Whether a value is an object with a speaker and what was said."""
    return isinstance(value, dict) and (
        ("role" in value and ("content" in value or "tool_calls" in value))
        or ("from" in value and "value" in value)
    )


def _message(part: Row) -> dict[str, Any]:
    role, content = ("role", "content") if part.has("role") else ("from", "value")
    speaker = part.take(role)
    if speaker == "function_call":
        return {"role": "assistant", "content": "", "tool_calls": _calls(part, content)}
    message = {
        "role": ROLES.get(speaker.lower(), speaker) if isinstance(speaker, str) else speaker,
    }
    said = _only_text(part.take(content))
    if not part.gives("tool_calls"):
        said = text_or_empty(said)
    if said is not None or part.has(content):
        message["content"] = said
    for name in _KEPT:
        # Tables have every field in every message: null is not given.
        if part.peek(name) is not None:
            message[name] = part.structure(name) if name == "tool_calls" else part.take(name)
    return message


def _only_text(content: Any) -> Any:
    """A content that is one part with a text is that text."""
    if isinstance(content, list) and len(content) == 1 and isinstance(content[0], dict):
        part = {name: value for name, value in content[0].items() if value is not None}
        if part.keys() == {"type", "text"} and part["type"] == "text":
            return part["text"]
    return content


def _calls(part: Row, name: str) -> list[dict[str, Any]]:
    """The calls that LLaMA-Factory has in a turn of their own: ``{"name", "arguments"}`` as JSON.

    Raises:
        InvalidInput: they are something else.
    """
    value = part.structure(name)
    calls = value if isinstance(value, list) else [value]
    if not calls or not all(isinstance(call, dict) and "name" in call for call in calls):
        raise InvalidInput(f"{part.where(name)}: must hold a function's name and its arguments")
    return [{"type": "function", "function": call} for call in calls]


def is_prompt(content: Any) -> bool:
    """Whether a value is a string or chat messages."""
    return isinstance(content, str) or (isinstance(content, list) and all(map(is_message, content)))


def contents(content: str | Sequence[Mapping[str, Any]]) -> list[str]:
    """The texts of a prompt: the string, or the contents of its messages."""
    if isinstance(content, str):
        return [content]
    return [each["content"] for each in content if isinstance(each.get("content"), str)]


def is_same(one: Sequence[Mapping[str, Any]], other: Sequence[Mapping[str, Any]]) -> bool:
    """Whether two lists of messages are the same but for white space around the contents."""
    return [_bare(each) for each in one] == [_bare(each) for each in other]


def _bare(message: Mapping[str, Any]) -> dict[str, Any]:
    content = message.get("content")
    return {**message, "content": content.strip() if isinstance(content, str) else content}
