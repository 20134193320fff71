"""The texts of prompts and responses: how a prompt reads as one text, which responses differ."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Literal

Reason = Literal["empty", "duplicate"]
"""Why a response is dropped."""


def render_prompt(content: str | Sequence[Mapping[str, Any]]) -> str:
    """The string itself, or chat messages as ``role: content`` turns with a blank line between."""
    if isinstance(content, str):
        return content
    return "\n\n".join(f"{message['role']}: {message['content']}" for message in content)


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
