"""Two completions of one prompt, in two columns of a row. Pure.

A completion is a text, or a conversation that ends with the assistant's message. A text may be a
transcript, and so repeat the turns before the answer: then its last turn is the response. Where the
line has a column for the prompt, the turns before must agree with it.
"""

import re
from collections.abc import Sequence
from dataclasses import dataclass
from itertools import takewhile
from typing import Any, Final

from app.errors import InvalidInput, Location
from app.formats.asked import Asked, complete, prompt_column, prompt_in
from app.formats.format import ReadLine
from app.formats.meaning import Meaning, meaning_of
from app.formats.messages import Messages, contents, conversation, is_prompt, is_same
from app.formats.row import Row
from app.formats.transcripts import read_rendered, read_transcript, split_hh
from app.formats.values import text_or_empty

Names = tuple[str, str]
"""The two columns."""

_MARKED = re.compile(r"\s*(<|\[INST\]|Human:)")
"""How transcripts begin that are hardly ever what a prompt asks for."""
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
    response = {"text": text_or_empty(last.get("content"))}
    return response | ({"tool_calls": last["tool_calls"]} if last.get("tool_calls") else {})


def response_in(row: Row, name: str, prompt: Any) -> dict[str, Any]:
    """The response in a column: a text or messages, without the turns that the prompt has.

    Raises:
        InvalidInput: the column has messages that are not the prompt's, or no answer.
    """
    messages = conversation(row, name)
    if messages is not None:
        if len(messages) > 1 and not _has_all(prompt, messages[:-1]):
            raise InvalidInput(f"{row.where(name)}: has other turns than the prompt")
        return last_message(messages, row.where(name))
    text = text_or_empty(row.take(name))
    transcript = _transcript(text) if isinstance(text, str) else None
    if transcript is not None and _has_all(prompt, transcript.before):
        return transcript.response
    return {"text": text}


def _read(row: Row, names: Names) -> _Two:
    first, second = (conversation(row, name) for name in names)
    if first is not None and second is not None:
        _ignore_repeats(row, names, [first[-1], second[-1]])
        return _from_conversations(row, names, (first, second))
    if first is not None or second is not None:
        raise InvalidInput(f"{_both(row, names)}: must both be strings, or both lists of messages")
    one, other = (text_or_empty(row.take(name)) for name in names)
    if isinstance(one, str) and isinstance(other, str):
        answers = [{"role": "assistant", "content": text} for text in (one, other)]
        _ignore_repeats(row, names, answers)
        return _from_texts(row, names, (one, other))
    return _required(row, names), [{"text": one}, {"text": other}]


def _ignore_repeats(row: Row, names: Names, answers: Sequence[dict[str, Any]]) -> None:
    """Ignore columns with a conversation that is the prompt and one of the two answers.

    Datasets keep it for supervised training, beside the two.
    """
    asked = prompt_column(row)
    for name in row.only(lambda each: meaning_of(each) is Meaning.HISTORY):
        messages = conversation(_untaken(row, name), name)
        if name in (asked, *names) or messages is None or len(messages) < 2:
            continue
        *before, last = messages
        if not any(is_same([last], [answer]) for answer in answers):
            continue
        whole = (conversation(_untaken(row, each), each) for each in names)
        prompts = [found[:-1] for found in whole if found is not None]
        if asked is not None:
            prompts.append(prompt_beside(_untaken(row, asked), asked))
        if any(prompt == before or _has_all(prompt, before) for prompt in prompts):
            row.ignore(name)


def _untaken(row: Row, name: str) -> Row:
    """A column as a row of its own, to be looked at without taking it."""
    return Row({name: row.peek(name)})


def _from_conversations(row: Row, names: Names, two: tuple[Messages, Messages]) -> _Two:
    completions = [
        _Completion(last_message(messages, row.where(name)), messages[:-1])
        for name, messages in zip(names, two, strict=True)
    ]
    before = completions[0].before
    if not is_same(before, completions[1].before):
        raise InvalidInput(_diverging(row, names))
    return _after(row, names, before), [each.response for each in completions]


def _from_texts(row: Row, names: Names, texts: tuple[str, str]) -> _Two:
    transcripts = [found for found in map(_transcript, texts) if found is not None]
    shares_turns = len(transcripts) == 2 and is_same(transcripts[0].before, transcripts[1].before)
    name = prompt_column(row)
    if name is not None and not (shares_turns and meaning_of(name) is Meaning.MORE_TEXT):
        raw = prompt_beside(row, name)
        repeating = [each for each in transcripts if _agree(raw, each.before)]
        if len(repeating) == 1:
            raise InvalidInput(f"{_both(row, names)}: only one of them repeats the prompt")
        if not repeating:
            if shares_turns and all(map(_MARKED.match, texts)):
                raise InvalidInput(_differing(row, name, names))
            # The prompt asks for dialogues, or nobody asks for anything of the kind.
            return _beside_texts(row, names, texts)
    elif not transcripts:
        return _from_hh(row, names, texts)
    if not shares_turns:
        problem = _diverging if len(transcripts) == 2 else _missing
        raise InvalidInput(problem(row, names))
    asked = _after(row, names, transcripts[0].before)
    return asked, [each.response for each in transcripts]


def _transcript(text: str) -> _Completion | None:
    turns = read_transcript(text)
    return None if turns is None else _Completion({"text": turns[-1]["content"]}, turns[:-1])


def _beside_texts(row: Row, names: Names, texts: tuple[str, str]) -> _Two:
    """A prompt in a column of its own, beside two texts that do not repeat its turns."""
    asked = _required(row, names)
    if isinstance(asked.content, str):
        dialogue = asked.content.strip().removesuffix("Assistant:").rstrip()
        one, other = map(split_hh, texts)
        if one is not None and other is not None and one[0] == other[0] == dialogue:
            return asked, [{"text": one[1]}, {"text": other[1]}]
    if is_prompt(asked.content):
        _refuse_echo("".join(contents(asked.content)[-1:]).strip(), texts, _both(row, names))
    return asked, [{"text": text} for text in texts]


def _refuse_echo(prompt: str, texts: tuple[str, str], names: str) -> None:
    """Refuse two answers that both repeat the prompt: where they begin is not sure."""
    start = _common_start(*(text.lstrip() for text in texts))
    is_long = len(prompt.split()) >= _ECHOED_WORDS
    ends_line = start.startswith(prompt) and start[len(prompt) :].lstrip(" \t")[:1] in ("\r", "\n")
    if prompt and (prompt in start if is_long else ends_line and len(start) > len(prompt)):
        raise InvalidInput(
            f"{names}: both begin with the prompt, and where the answers begin is not sure: take"
            " it out of them"
        )


def _common_start(one: str, other: str) -> str:
    pairs = zip(one, other, strict=False)
    return one[: sum(1 for _ in takewhile(lambda pair: pair[0] == pair[1], pairs))]


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
    return complete(row, prompt_beside(row, name), name)


def prompt_beside(row: Row, name: str) -> Any:
    """The prompt in a column beside completions: a string or chat messages.

    A chat that our own exports rendered as a string is found again.
    """
    found = prompt_in(row, name)
    turns = read_rendered(found) if isinstance(found, str) else None
    return found if turns is None else turns


def _after(row: Row, names: Names, before: Messages) -> Asked:
    """The turns before the answers, or the prompt beside them where that says more."""
    name = prompt_column(row)
    if name is None or (before and meaning_of(name) is Meaning.MORE_TEXT):
        if not before:
            raise InvalidInput(_missing(row, names))
        return complete(row, before, names[0])
    raw = prompt_beside(row, name)
    if before and not _agree(raw, before):
        raise InvalidInput(_differing(row, name, names))
    # A prompt beside the conversations is often their last question alone.
    is_whole = len(before) <= (len(raw) if isinstance(raw, list) else 1)
    return complete(row, raw if is_whole else before, name)


def _has_all(prompt: Any, before: Messages) -> bool:
    """Whether the prompt says all that the turns before the answer say: these can be left out."""
    if isinstance(prompt, str):
        is_one = len(before) == 1 and _spaced(before[0]["content"]) == _spaced(prompt)
        return is_one or _is_dialogue(prompt, before)
    if not is_prompt(prompt) or not prompt or not before:
        return False
    return len(before) <= len(prompt) and is_same(before, prompt[-len(before) :])


def _agree(prompt: Any, before: Messages) -> bool:
    """Whether the prompt is the turns before the answer, or a part of them."""
    if isinstance(prompt, str):
        return _is_dialogue(prompt, before) or any(
            _spaced(turn["content"]) == _spaced(prompt) for turn in before
        )
    if not is_prompt(prompt) or not prompt or not before:
        return False
    if len(before) <= len(prompt):
        return is_same(before, prompt[-len(before) :])
    return is_same(prompt, before[-len(prompt) :]) or is_same(prompt, before[: len(prompt)])


def _is_dialogue(prompt: str, before: Messages) -> bool:
    """Whether a prompt is a transcript of these turns that ends where the answer begins."""
    for answered in (f"{prompt}…", f"{prompt.rstrip()} …"):
        turns = read_transcript(answered)
        if turns is not None and is_same(turns[:-1], before):
            return True
    return False


def _spaced(text: Any) -> str:
    return " ".join(str(text).split())


def _differing(row: Row, name: str, names: Names) -> str:
    return f"{row.where(name)}: differs from the turns before the last of {names[0]}"


def _both(row: Row, names: Names) -> str:
    return ", ".join(map(row.where, names))


def _diverging(row: Row, names: Names) -> str:
    return f"{_both(row, names)}: the dialogues diverge before the last turn"


def _missing(row: Row, names: Names) -> str:
    return (
        f"prompt: missing, and {_both(row, names)} are no transcripts that end with the"
        " assistant's turn"
    )
