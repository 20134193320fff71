"""The texts of prompts and responses: how a prompt reads as one text, which responses differ."""

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Literal

from app.formats.tool_calls import render_response

Content = str | Sequence[Mapping[str, Any]]
"""A prompt: a string, or chat messages."""
Reason = Literal["empty", "duplicate"]
"""Why a response is dropped."""
_PLAIN_TURN = {"role", "content"}
_CUE = "assistant:"
_LOOKS_LIKE_A_TURN = re.compile(r"(?<=\n\n)\\*(?:system|user|assistant|tool):")


def render_prompt(content: Content) -> str:
    """The string itself, or chat messages as ``role: content`` turns with a blank line between.

    The calls of a turn stand below its content.
    """
    if isinstance(content, str):
        return content
    return "\n\n".join(f"{turn['role']}: {_said(turn)}" for turn in content)


def render_for_export(content: Content) -> str:
    r"""The string itself, or a plain chat as one string that ends with the assistant's cue.

    A trainer puts the answer straight behind it. The grammar, from which the turns can be read
    back::

        chat = turn *("\n\n" turn) "\n\nassistant:"
        turn = role ": " text
        role = "system" / "user" / "assistant" / "tool"

    Where a text has a blank line and then, perhaps after backslashes, a role and a colon, one more
    backslash is put before them. So ``"\n\n" role ": "`` is always the start of a turn; to read a
    text, take one backslash away from ``"\n\n" 1*"\" role ":"``.

    Args:
        content: chat messages must be plain (``is_plain``).
    """
    if isinstance(content, str):
        return content
    turns = [
        {**turn, "content": _LOOKS_LIKE_A_TURN.sub(r"\\\g<0>", turn["content"])} for turn in content
    ]
    return f"{render_prompt(turns)}\n\n{_CUE}"


def is_plain(content: Content) -> bool:
    """Whether a prompt is a string, or each of its turns a role and a text and nothing else."""
    return isinstance(content, str) or all(
        turn.keys() == _PLAIN_TURN and turn["content"] is not None for turn in content
    )


def _said(turn: Mapping[str, Any]) -> str:
    return render_response(turn.get("content") or "", turn.get("tool_calls"))


@dataclass(frozen=True, slots=True)
class Distinct:
    """Which texts are kept, by index, and why the others are not."""

    kept: tuple[int, ...]
    dropped: Mapping[int, Reason]
    same_as: Mapping[int, int]
    """For each text that is not empty, the index of the kept text that equals it."""


def keep_distinct(texts: Sequence[str]) -> Distinct:
    """Keep the first of each text; surrounding white space does not count."""
    first_of: dict[str, int] = {}
    dropped: dict[int, Reason] = {}
    same_as: dict[int, int] = {}
    for index, text in enumerate(texts):
        stripped = text.strip()
        if not stripped:
            dropped[index] = "empty"
            continue
        same_as[index] = first_of.setdefault(stripped, index)
        if same_as[index] != index:
            dropped[index] = "duplicate"
    return Distinct(tuple(first_of.values()), dropped, same_as)
