"""What a line asks: its prompt, with every column that is a part of it. Pure."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Final

from app.errors import InvalidInput
from app.formats.meaning import Meaning, meaning_of, says_nothing
from app.formats.messages import (
    Messages,
    contents,
    conversation,
    is_prompt,
    is_same,
    is_text,
)
from app.formats.row import Row, decoded
from app.formats.transcripts import read_transcript
from app.formats.values import as_name

PROMPTS: Final = (
    "prompt",
    "instruction",
    "question",
    "query",
    "user_prompt",
    "messages",
    "conversations",
    "conversation",
    "input",
)
"""The columns that may hold the prompt; the first that a line has is it."""

_FALLBACKS: Final = (Meaning.HISTORY, Meaning.MORE_TEXT)


@dataclass(frozen=True, slots=True)
class Asked:
    """The prompt of a line: a string or chat messages, and the tools that it may call."""

    content: Any
    name: str
    """The column, as error messages call it."""
    tools: Any = None

    def fields(self) -> dict[str, Any]:
        """The fields of a body of ``POST /prompts``."""
        return {"prompt": self.content} | ({} if self.tools is None else {"tools": self.tools})


def prompt_column(row: Row) -> str | None:
    """The column that holds the prompt; None where there is none."""
    for name in PROMPTS:
        if row.gives(name):
            return name
    for meaning in _FALLBACKS:
        for name in row.names():
            if meaning_of(name) is meaning and not says_nothing(row.peek(name)):
                return name
    return next((name for name in PROMPTS if row.has(name)), None)


def read_asked(row: Row) -> Asked | None:
    """The prompt of a line, or of an object in it; None where no column holds one.

    A column with a system turn, with more of the question or with the turns before becomes a part
    of the prompt. One that only repeats what stands in it is ignored.

    Raises:
        InvalidInput: two columns ask different things, or cannot be put together for sure.
    """
    name = prompt_column(row)
    return None if name is None else complete(row, prompt_in(row, name), name)


def prompt_in(row: Row, name: str) -> Any:
    """What the column of the prompt holds: a string, chat messages, or what cannot be used."""
    found = conversation(row, name)
    if found is not None:
        return found
    if meaning_of(name) is Meaning.HISTORY and isinstance(decoded(row.peek(name)), list):
        return _turns(row, name)
    return row.take(name)


def complete(row: Row, content: Any, name: str) -> Asked:
    """A prompt that was found in the column ``name``, with the columns that are a part of it.

    Raises:
        InvalidInput: as ``read_asked``.
    """
    if is_prompt(content):
        content = _complete(row, content, name)
    tools = row.structure("tools") if row.gives("tools") else None
    return Asked(content, row.where(name), tools)


def _complete(row: Row, content: str | Messages, name: str) -> str | Messages:
    for other in PROMPTS:
        if other != name and row.gives(other) and meaning_of(other) is None:
            _repeats(row, other, content, name)
    for each in _named(row, Meaning.MORE_TEXT):
        content = _with_more_text(row, each, content)
    for each in _named(row, Meaning.HISTORY):
        content = _with_history(row, each, content)
    for each in _named(row, Meaning.SYSTEM):
        content = _with_system(row, each, content)
    return content


def _named(row: Row, meaning: Meaning) -> Sequence[str]:
    return row.only(lambda name: meaning_of(name) is meaning)


def _repeats(row: Row, other: str, content: str | Messages, name: str) -> None:
    said = conversation(row, other) or row.take(other)
    same = said == content or (isinstance(said, str) and _stands_in(said, content))
    if not same:
        raise InvalidInput(
            f"{row.where(name)}, {row.where(other)}: say different things, and which of them was"
            " asked is not sure"
        )


def _text(row: Row, name: str) -> str | None:
    """A column's text, without taking it; a number is one too. None where it holds no text."""
    value = row.peek(name)
    if isinstance(value, int | float) and not isinstance(value, bool):
        return as_name(value)
    return value if isinstance(value, str) and is_text(value) else None


def _with_more_text(row: Row, name: str, content: str | Messages) -> str | Messages:
    """The question and more of it as two paragraphs, as Alpaca has them."""
    more = _text(row, name)
    if more is None:
        return content
    if _stands_in(more, content):
        row.take(name)
        return content
    if isinstance(content, str):
        row.take(name)
        return f"{content}\n\n{more}"
    return content


def _with_history(row: Row, name: str, content: str | Messages) -> str | Messages:
    """The turns before, and then the prompt; also where the prompt ends them already."""
    before = _turns(row, name)
    if not before:
        return content
    turns = [{"role": "user", "content": content}] if isinstance(content, str) else content
    if is_same(before, turns[: len(before)]):
        return content
    if is_same(before[-len(turns) :], turns):
        return before
    asks = [turn for turn in before if is_same([turn], turns[-1:])]
    if before[-1]["role"] == "assistant" and turns[0].get("role") == "user" and not asks:
        return [*before, *turns]
    raise InvalidInput(
        f"{row.where(name)}: must lead up to the prompt, or end with it; an answer to it stands in"
        " other columns"
    )


def _turns(row: Row, name: str) -> Messages | None:
    found = conversation(row, name)
    if found is not None:
        return found
    value = row.structure(name)
    if isinstance(value, str):
        turns = read_transcript(value)
    elif isinstance(value, list) and all(map(_is_exchange, value)):
        turns = [
            {"role": role, "content": said}
            for exchange in value
            for role, said in zip(("user", "assistant"), exchange, strict=True)
        ]
    else:
        turns = None
    if turns is None:
        raise InvalidInput(f"{row.where(name)}: must be a list of messages")
    return turns


def _is_exchange(value: Any) -> bool:
    return isinstance(value, list) and len(value) == 2 and all(isinstance(e, str) for e in value)


def _with_system(row: Row, name: str, content: str | Messages) -> str | Messages:
    system = _text(row, name)
    if system is None:
        return content
    row.take(name)
    turn = {"role": "system", "content": system}
    if isinstance(content, str):
        return [turn, {"role": "user", "content": content}]
    if not content or content[0].get("role") != "system":
        return [turn, *content]
    if not is_same([turn], content[:1]):
        raise InvalidInput(
            f"{row.where(name)}: differs from the system turn that the prompt begins with"
        )
    return content


def _stands_in(text: str, content: str | Messages) -> bool:
    """Whether the text stands in the prompt, as whole lines."""
    return any(_has_lines(each, text.strip()) for each in contents(content))


def _has_lines(content: str, lines: str) -> bool:
    at = content.find(lines)
    while at >= 0:
        end = at + len(lines)
        if _is_line_end(content, at - 1, -1) and _is_line_end(content, end, 1):
            return True
        at = content.find(lines, end)
    return False


def _is_line_end(content: str, place: int, step: int) -> bool:
    """Whether nothing but blanks stands between a place and the end of its line."""
    while 0 <= place < len(content) and content[place] in " \t":
        place += step
    return not 0 <= place < len(content) or content[place] in "\r\n"
