"""What a recipe is: a name, columns, and a pure function from a preferred pair to rows."""

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from enum import StrEnum
from typing import Any

from app.exports.pairs import PreferredPair
from app.prompts.text import render_prompt

Row = dict[str, Any]
"""One row of a dataset: a value of the column's kind for each column, in the columns' order."""


class Layout(StrEnum):
    """How prompts and responses are written: as strings, or as lists of chat messages."""

    STANDARD = "standard"
    CONVERSATIONAL = "conversational"


class Kind(StrEnum):
    """What a column holds. ``TURNS`` is a string or a list of messages, as the layout says."""

    TURNS = "turns"
    TEXT = "text"
    NUMBER = "number"
    COUNT = "count"
    FLAG = "flag"


@dataclass(frozen=True, slots=True)
class Column:
    """A column of a dataset; every cell has its kind, or is null."""

    name: str
    kind: Kind


@dataclass(frozen=True, slots=True)
class Recipe:
    """One export format for one family of trainers.

    ``rows`` is pure: the same pair and layout give the same rows, each with exactly ``columns``.
    """

    name: str
    description: str
    columns: tuple[Column, ...]
    rows: Callable[[PreferredPair, Layout], Iterator[Row]]


def prompt_turns(content: Any, layout: Layout) -> str | list[dict[str, str]]:
    """A prompt in the layout: a chat is rendered as its turns, a string is one user turn."""
    if layout is Layout.STANDARD:
        return render_prompt(content)
    if isinstance(content, str):
        return [{"role": "user", "content": content}]
    return [{"role": turn["role"], "content": turn["content"]} for turn in content]


def response_turns(text: str, layout: Layout) -> str | list[dict[str, str]]:
    """A response in the layout: as it is, or as one assistant turn."""
    if layout is Layout.STANDARD:
        return text
    return [{"role": "assistant", "content": text}]
