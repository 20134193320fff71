"""Two completions of one prompt, in two columns of a row. Pure.

A completion is a text, or a conversation that ends with the assistant's message. A text may be a
transcript, and so repeat the turns before the answer: then its last turn is the response. Where the
line has a column for the prompt, the turns before must agree with it.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Final

from app.errors import InvalidInput, Location
from app.formats.asked import Asked, complete, prompt_column
from app.formats.format import ReadLine
from app.formats.messages import Messages, conversation, is_same
from app.formats.row import Row
from app.formats.transcripts import read_rendered, read_transcript, split_hh
from app.formats.values import text_or_empty

Names = tuple[str, str]
"""The two columns."""

_ECHOED_WORDS: Final = 3
"""Two answers that both begin with a prompt of so many words may have it in front."""


@dataclass(frozen=True, slots=True)
class _Completion:
    """A response, and the turns before it."""

    response: dict[str, Any]
    before: Messages


_Two = tuple[Asked, Sequence[dict[str, Any]]]
"""What was asked, and the two responses."""


def read_two(row: Row, names: Names) -> ReadLine:
    """A line with two responses, without preferences.

    Raises:
        InvalidInput: a column is malformed, or what the prompt is is not sure.
    """
    asked, responses = _read(row, names)
    called: dict[Location, str] = {("prompt",): asked.name, ("responses",): _both(row, names)}
    for index, name in enumerate(names):
        called[("responses", index)] = called[("responses", index, "text")] = row.where(name)
    return ReadLine(asked.fields() | {"responses": list(responses)}, names=called)


def last_message(messages: Messages, where: str) -> dict[str, Any]:
    """The response that a list of messages ends with.

    Raises:
        InvalidInput: it does not end with the assistant's message, or that has more than a text
            and calls of tools.
    """
    last = messages[-1] if messages else {}
    if last.get("role") != "assistant":
        raise InvalidInput(f"{where}: must end with an assistant's message")
    for name in ("name", "tool_call_id"):
        if name in last:
            raise InvalidInput(f"{where}: the last message has a `{name}`, which no response has")
    response = {"text": text_or_empty(_text(last.get("content")))}
    return response | ({"tool_calls": last["tool_calls"]} if last.get("tool_calls") else {})


def _text(content: Any) -> Any:
    """A content that is one part with a text is that text."""
    if isinstance(content, list) and len(content) == 1 and isinstance(content[0], dict):
        part = content[0]
        if part.keys() == {"type", "text"} and part["type"] == "text":
            return part["text"]
    return content


def _read(row: Row, names: Names) -> _Two:
    first, second = (conversation(row, name) for name in names)
    if first is not None and second is not None:
        return _from_conversations(row, names, (first, second))
    if first is not None or second is not None:
        raise InvalidInput(f"{_both(row, names)}: must both be strings, or both lists of messages")
    one, other = (text_or_empty(row.take(name)) for name in names)
    if isinstance(one, str) and isinstance(other, str):
        return _from_texts(row, names, (one, other))
    return _required(row, names), [{"text": one}, {"text": other}]


def _from_conversations(row: Row, names: Names, two: tuple[Messages, Messages]) -> _Two:
    completions = [
        _Completion(last_message(messages, row.where(name)), messages[:-1])
        for name, messages in zip(names, two, strict=True)
    ]
    if row.peek("messages") in [row.peek(name) for name in names]:
        row.ignore("messages")
    before = completions[0].before
    if not is_same(before, completions[1].before):
        raise InvalidInput(_diverging(row, names))
    return _after(row, names, before), [each.response for each in completions]


def _from_texts(row: Row, names: Names, texts: tuple[str, str]) -> _Two:
    transcripts = [found for found in map(_transcript, texts) if found is not None]
    name = prompt_column(row)
    if name is not None:
        raw = prompt_in(row, name)
        repeating = [each for each in transcripts if _agree(raw, each.before)]
        if len(repeating) == 1:
            raise InvalidInput(f"{_both(row, names)}: only one of them repeats the prompt")
        if not repeating:
            # The prompt asks for dialogues, or nobody asks for anything of the kind.
            return _beside_texts(row, names, texts)
    elif not transcripts:
        return _from_hh(row, names, texts)
    if not _shares_turns(transcripts):
        raise InvalidInput(
            _diverging(row, names) if len(transcripts) == 2 else _missing(row, names)
        )
    asked = _after(row, names, transcripts[0].before)
    return asked, [each.response for each in transcripts]


def _transcript(text: str) -> _Completion | None:
    turns = read_transcript(text)
    return None if turns is None else _Completion({"text": turns[-1]["content"]}, turns[:-1])


def _shares_turns(transcripts: Sequence[_Completion]) -> bool:
    return len(transcripts) == 2 and is_same(transcripts[0].before, transcripts[1].before)


def _beside_texts(row: Row, names: Names, texts: tuple[str, str]) -> _Two:
    """A prompt in a column of its own, beside two texts that share no turns."""
    asked = _required(row, names)
    if isinstance(asked.content, str):
        dialogue = asked.content.strip().removesuffix("Assistant:").rstrip()
        one, other = map(split_hh, texts)
        if one is not None and other is not None and one[0] == other[0] == dialogue:
            return asked, [{"text": one[1]}, {"text": other[1]}]
        _refuse_echo(asked.content.strip(), texts, _both(row, names))
    return asked, [{"text": text} for text in texts]


def _refuse_echo(prompt: str, texts: Sequence[str], names: str) -> None:
    """Refuse two answers that begin with the whole prompt: where they begin is not sure."""
    rests = [text.lstrip().removeprefix(prompt) for text in texts]
    is_echoed = [
        len(rest) < len(text.lstrip()) and rest[:1].isspace()
        for rest, text in zip(rests, texts, strict=True)
    ]
    if len(prompt.split()) >= _ECHOED_WORDS and all(is_echoed):
        raise InvalidInput(
            f"{names}: both begin with the prompt, and where the answers begin is not sure: take"
            " it out of them"
        )


def _from_hh(row: Row, names: Names, texts: tuple[str, str]) -> _Two:
    """Anthropic's transcripts in which the speakers do not alternate: the prompt is a string."""
    one, other = map(split_hh, texts)
    if one is None or other is None or not one[0]:
        raise InvalidInput(_missing(row, names))
    if one[0] != other[0]:
        raise InvalidInput(_diverging(row, names))
    return complete(row, one[0], names[0]), [{"text": one[1]}, {"text": other[1]}]


def _required(row: Row, names: Names) -> Asked:
    name = prompt_column(row)
    if name is None:
        raise InvalidInput(_missing(row, names))
    return complete(row, prompt_in(row, name), name)


def prompt_in(row: Row, name: str) -> Any:
    """The prompt in a column beside completions: a string or chat messages.

    A chat that our own exports rendered as a string is found again.
    """
    found = conversation(row, name)
    if found is None:
        value = row.take(name)
        found = read_rendered(value) if isinstance(value, str) else None
        return value if found is None else found
    return found


def _after(row: Row, names: Names, before: Messages) -> Asked:
    """The turns before the answers, or the prompt beside them where that says more."""
    name = prompt_column(row)
    if name is None:
        if not before:
            raise InvalidInput(_missing(row, names))
        return complete(row, before, names[0])
    raw = prompt_in(row, name)
    if before and not _agree(raw, before):
        raise InvalidInput(
            f"{row.where(name)}: differs from the turns before the last of {names[0]}"
        )
    # A prompt beside the conversations is often their last question alone.
    is_whole = len(before) <= (len(raw) if isinstance(raw, list) else 1)
    return complete(row, raw if is_whole else before, name)


def _agree(prompt: Any, before: Messages) -> bool:
    """Whether the prompt is the turns before the answer, or a part of them."""
    if isinstance(prompt, str):
        turns = read_transcript(f"{prompt.rstrip()} …")
        said = prompt.strip()
        return (turns is not None and is_same(turns[:-1], before)) or any(
            str(turn["content"]).strip() == said for turn in before
        )
    if not isinstance(prompt, list) or not prompt:
        return False
    short, long = sorted((prompt, before), key=len)
    return is_same(short, long[-len(short) :]) or is_same(short, long[: len(short)])


def _both(row: Row, names: Names) -> str:
    return ", ".join(map(row.where, names))


def _diverging(row: Row, names: Names) -> str:
    return f"{_both(row, names)}: the dialogues diverge before the last turn"


def _missing(row: Row, names: Names) -> str:
    return (
        f"prompt: missing, and {_both(row, names)} are no transcripts that end with the"
        " assistant's turn"
    )
