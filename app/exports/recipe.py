"""What a recipe is: a name, columns, and a pure function from preferences to rows."""

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from enum import StrEnum
from typing import Any

from app.exports.pairs import Candidate, JudgedPrompt, LabelledPair, PreferredPair
from app.prompts.text import render_for_export

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
    TOOLS = "tools"
    """The tools of a prompt as a list of JSON schemas, or null."""
    SOURCE = "source"
    """``{"prompt_id", "prompt_external_id", "roles"}``."""


class Need(StrEnum):
    """What a recipe needs of a project beside its preferences."""

    REWARDS = "rewards"
    MARGIN = "margin"
    MEAN_WEIGHT = "mean-weight"
    REFERENCE = "reference"
    LOG_PROBABILITIES = "log-probabilities"
    EDITS = "edits"
    """Of the preferred response."""
    ANY_EDITS = "any-edits"
    """Of either response."""
    CONFIDENCE = "confidence"
    TIES = "ties"


class Tools(StrEnum):
    """Whether the files of a recipe can hold prompts with tools or tool calls."""

    LEFT_OUT = "left-out"
    """They are left out: their trainer would not see the tools, or not the calls."""
    IN_MESSAGES = "in-messages"
    """The conversational layout holds them whole, with a column ``tools``; the other none."""
    IN_STRINGS = "in-strings"
    """Both layouts hold those that ``holds`` takes, calls and the column ``tools`` as strings."""


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
    tools: Tools = Tools.LEFT_OUT
    holds: Callable[[LabelledPair], bool] = lambda _: False
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


Message = dict[str, Any]
"""One turn of a chat: its role, its content, and what else it was sent with."""
_IN_ORDER = ("role", "content", "tool_calls", "tool_call_id", "name")


def prompt_turns(content: Any, layout: Layout) -> str | list[Message]:
    """A prompt in the layout: a chat as one string that ends with the assistant's cue, or messages.

    A string stays as it is, or is one user turn.
    """
    return render_for_export(content) if layout is Layout.STANDARD else messages(content)


def messages(content: Any) -> list[Message]:
    """A prompt as chat messages, whole: a string is one user turn."""
    if isinstance(content, str):
        return [{"role": "user", "content": content}]
    return [{name: turn[name] for name in _IN_ORDER if name in turn} for turn in content]


def response_turns(response: Candidate, layout: Layout) -> str | list[Message]:
    """A response in the layout: a string, or one assistant turn with its tool calls."""
    if layout is Layout.STANDARD:
        return response.text
    return [answer(response.text, response.tool_calls)]


def text_turns(text: str, layout: Layout) -> str | list[Message]:
    """A text without tool calls as a response in the layout."""
    return text if layout is Layout.STANDARD else [answer(text)]


def answer(text: str, tool_calls: Any = None) -> Message:
    """A response as the assistant's message."""
    message = {"role": "assistant", "content": text}
    return message if tool_calls is None else {**message, "tool_calls": tool_calls}


def plain_pair(preferred: PreferredPair, layout: Layout) -> Row:
    """``prompt``, ``chosen`` and ``rejected``."""
    return {
        "prompt": prompt_turns(preferred.pair.prompt, layout),
        "chosen": response_turns(preferred.chosen, layout),
        "rejected": response_turns(preferred.rejected, layout),
    }


PLAIN_PAIR = dict.fromkeys(("prompt", "chosen", "rejected"), ColumnType.TURNS)
"""The columns of ``plain_pair``."""
