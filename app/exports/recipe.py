"""What a recipe is: a name, columns, and a pure function from preferences to rows."""

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from enum import StrEnum
from typing import Any

from app.exports.pairs import JudgedPrompt, PreferredPair
from app.prompts.text import render_prompt

Row = dict[str, Any]
"""One row of a dataset: a value for each column, in the order of the columns."""


class Layout(StrEnum):
    """How prompts and responses are written: as strings, or as lists of chat messages."""

    STANDARD = "standard"
    CONVERSATIONAL = "conversational"


class ColumnType(StrEnum):
    """The type of a column. ``TURNS`` is a string or messages, depending on the layout."""

    TURNS = "turns"
    TEXT = "text"
    NUMBER = "number"
    COUNT = "count"
    FLAG = "flag"
    TEXTS = "texts"
    TEXT_LISTS = "text-lists"
    NUMBERS = "numbers"
    MESSAGE = "message"
    """``{"role", "content"}``."""
    MESSAGES = "messages"
    SPEAKER = "speaker"
    """``{"from", "value"}``, as ShareGPT has it."""
    SPEAKERS = "speakers"
    SOURCE = "source"
    """``{"prompt_id", "prompt_external_id"}``."""


class Need(StrEnum):
    """What a recipe needs of a project beside its preferences."""

    REWARDS = "rewards"
    MARGIN = "margin"
    MEAN_WEIGHT = "mean-weight"
    REFERENCE = "reference"
    LOG_PROBABILITIES = "log-probabilities"
    EDITS = "edits"


Columns = Mapping[str, ColumnType]
"""The columns of a dataset in their order; every value is of its column's type, or null."""


@dataclass(frozen=True, slots=True, kw_only=True)
class _Format:
    """What both kinds of recipe have.

    ``rows`` is pure: the same subject and layout give the same rows, each with exactly ``columns``.
    """

    name: str
    description: str
    columns: Columns
    needs: frozenset[Need] = frozenset()
    lowest_reward_first: bool = False
    """Prompts are ordered by the reward of their best response, instead of as stored."""


@dataclass(frozen=True, slots=True, kw_only=True)
class PairRecipe(_Format):
    """An export format with rows for each pair that has a preference."""

    rows: Callable[[PreferredPair, Layout], Iterator[Row]]


@dataclass(frozen=True, slots=True, kw_only=True)
class PromptRecipe(_Format):
    """An export format with rows for each prompt that has labels."""

    rows: Callable[[JudgedPrompt, Layout], Iterator[Row]]


Recipe = PairRecipe | PromptRecipe
"""One export format for one family of trainers."""


def prompt_turns(content: Any, layout: Layout) -> str | list[dict[str, str]]:
    """A prompt in the layout: a chat is rendered as its turns, a string is one user turn."""
    return render_prompt(content) if layout is Layout.STANDARD else messages(content)


def messages(content: Any) -> list[dict[str, str]]:
    """A prompt as chat messages: a string is one user turn."""
    if isinstance(content, str):
        return [{"role": "user", "content": content}]
    return [{"role": turn["role"], "content": turn["content"]} for turn in content]


def response_turns(text: str, layout: Layout) -> str | list[dict[str, str]]:
    """A response in the layout: a string, or one assistant turn."""
    return text if layout is Layout.STANDARD else [answer(text)]


def answer(text: str) -> dict[str, str]:
    """A response as the assistant's message."""
    return {"role": "assistant", "content": text}


def plain_pair(preferred: PreferredPair, layout: Layout) -> Row:
    """``prompt``, ``chosen`` and ``rejected``."""
    return {
        "prompt": prompt_turns(preferred.pair.prompt, layout),
        "chosen": response_turns(preferred.chosen.text, layout),
        "rejected": response_turns(preferred.rejected.text, layout),
    }


PLAIN_PAIR = dict.fromkeys(("prompt", "chosen", "rejected"), ColumnType.TURNS)
"""The columns of ``plain_pair``."""
