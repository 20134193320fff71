"""The texts of prompts and responses: how a prompt reads as one text, which responses differ."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Literal

from app.formats.tool_calls import ToolCalls, render_said

Content = str | Sequence[Mapping[str, Any]]
"""A prompt: a string, or chat messages."""
Reason = Literal["empty", "duplicate"]
"""Why a response is dropped."""
_PLAIN_TURN = {"role", "content"}


def render_prompt(content: Content) -> str:
    """The string itself, or chat messages as ``role: content`` turns with a blank line between.

    The calls of a turn stand below its content.
    """
    if isinstance(content, str):
        return content
    return "\n\n".join(f"{turn['role']}: {_said(turn)}" for turn in content)


def render_response(text: str, tool_calls: ToolCalls | None) -> str:
    """The text of a response, and below it its tool calls."""
    return render_said(text, tool_calls)


def is_plain(content: Content) -> bool:
    """Whether a prompt is a string, or each of its turns a role and a text and nothing else."""
    return isinstance(content, str) or all(
        turn.keys() == _PLAIN_TURN and turn["content"] is not None for turn in content
    )


def _said(turn: Mapping[str, Any]) -> str:
    return render_said(turn.get("content") or "", turn.get("tool_calls"))


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
