r"""Dialogues in one string: where each turn begins is told by the markers of a template. Pure.

Known are Anthropic's HH (``\n\nHuman: …\n\nAssistant: …``), plain speakers at the start of a line
(``User: …``), ChatML, the templates of Llama 2 and 3, Zephyr and Gemma. A string is a transcript
only if it begins with a marker, every speaker is known, and, after a system turn, user and
assistant take turns. Any line ends are read.
"""

import re
from collections.abc import Callable
from dataclasses import dataclass
from typing import Final

from app.formats.messages import ROLES, Messages

_LINE_END = r"(?>\r\n|\n|\r)"
# From where line ends begin and without going back, so that a long run of them is read once.
_LINE = rf"(?<![\r\n]){_LINE_END}++"
_PARAGRAPH = rf"(?<![\r\n]){_LINE_END}{{2,}}+"
_SPEAKER = "Human|User|Assistant|AI|System|HUMAN|USER|ASSISTANT|SYSTEM"


_CUE: Final = "\n\nassistant:"
_RENDERED = re.compile(r"(?:\A|\n\n)(system|user|assistant|tool): ")
_ESCAPED = re.compile(r"(?<=\n\n)\\(\\*(?:system|user|assistant|tool):)")


@dataclass(frozen=True, slots=True)
class _Template:
    """How a family of templates writes turns.

    The groups of ``marker`` are alternatives of the speaker; ``end`` closes a turn.
    """

    marker: re.Pattern[str]
    end: re.Pattern[str] | None = None
    start: re.Pattern[str] | None = None
    """What may stand before the first turn."""


_HH = _Template(re.compile(rf"(?:\A\s*|{_PARAGRAPH})(Human|Assistant):[ ]?"))
_TEMPLATES: Final = (
    _Template(  # ChatML
        re.compile(rf"<\|im_start\|>(\w+){_LINE_END}"),
        re.compile(rf"<\|im_end\|>{_LINE_END}?"),
        re.compile(r"<\|endoftext\|>|<s>"),
    ),
    _Template(  # Llama 3
        re.compile(rf"<\|start_header_id\|>(\w+)<\|end_header_id\|>{_LINE_END}{{0,2}}"),
        re.compile(r"<\|eot_id\|>|<\|end_of_text\|>"),
        re.compile(r"<\|begin_of_text\|>"),
    ),
    _Template(  # Gemma
        re.compile(rf"<start_of_turn>(\w+){_LINE_END}"),
        re.compile(rf"<end_of_turn>{_LINE_END}?|<eos>"),
        re.compile(r"<bos>"),
    ),
    _Template(  # Zephyr, Phi, OpenAssistant
        re.compile(rf"<\|(system|user|assistant|prompter)\|>{_LINE_END}?"),
        re.compile(rf"(?:</s>|<\|end\|>|<\|endoftext\|>){_LINE_END}?"),
        re.compile(r"<s>"),
    ),
    _HH,
    _Template(re.compile(rf"(?:\A\s*|{_PARAGRAPH})({_SPEAKER}):[ ]?")),
    _Template(re.compile(rf"(?:\A\s*|{_LINE})({_SPEAKER}):[ ]?")),
)
_LLAMA_2 = re.compile(r"(\[/?INST\])")
_LLAMA_2_SYSTEM = re.compile(
    rf"\s*<<SYS>>{_LINE_END}?(.*?){_LINE_END}?<</SYS>>{_LINE_END}{{0,2}}(.*)\Z", re.DOTALL
)


def read_transcript(text: str) -> Messages | None:
    """The turns of a transcript that ends with the assistant's; None where it is none."""
    readers: list[Callable[[str], Messages | None]] = [_read_llama_2]
    readers += [_reader(template) for template in _TEMPLATES]
    for read in readers:
        turns = read(text)
        if turns is not None and _takes_turns(turns):
            return turns
    return None


def _reader(template: _Template) -> Callable[[str], Messages | None]:
    return lambda text: _split(text, template)


def read_rendered(text: str) -> Messages | None:
    r"""The turns of a chat that an export of ours rendered as a string; None where it is none.

    The grammar is that of ``app.prompts.text.render_for_export``: turns ``role: text`` with a blank
    line between, and at the end the cue ``assistant:``. Within a text, a backslash stands before
    what would look like the start of a turn.
    """
    body = text.removesuffix(_CUE)
    if body == text or _RENDERED.match(body) is None:
        return None
    _, *rest = _RENDERED.split(body)
    turns = [
        {"role": role, "content": _ESCAPED.sub(r"\1", said)}
        for role, said in zip(rest[::2], rest[1::2], strict=True)
    ]
    return turns if turns[-1]["role"] in ("user", "tool") else None


def split_hh(text: str) -> tuple[str, str] | None:
    """Anthropic's transcript as the dialogue and the last answer, whoever speaks in between."""
    markers = list(_HH.marker.finditer(text))
    if not markers or markers[-1].group(1) != "Assistant":
        return None
    last = markers[-1]
    return text[: last.start()].strip(), text[last.end() :]


def _split(text: str, template: _Template) -> Messages | None:
    before, *rest = template.marker.split(text)
    if not rest or not _may_begin(before, template):
        return None
    turns: Messages = []
    for speaker, said in zip(rest[::2], rest[1::2], strict=True):
        role = ROLES.get(speaker.lower())
        content = _without_end(said, template.end)
        if role is None or content is None:
            return None
        turns.append({"role": role, "content": content})
    return turns


def _may_begin(before: str, template: _Template) -> bool:
    return not before.strip() or (
        template.start is not None and template.start.fullmatch(before.strip()) is not None
    )


def _without_end(said: str, end: re.Pattern[str] | None) -> str | None:
    """What was said, without the marker that closes the turn; None if anything follows that."""
    found = end.search(said) if end is not None else None
    if found is None:
        return said
    return said[: found.start()] if not said[found.end() :].strip() else None


def _read_llama_2(text: str) -> Messages | None:
    before, *rest = _LLAMA_2.split(text)
    if before.strip() not in ("", "<s>") or rest[::2] != ["[INST]", "[/INST]"] * (len(rest) // 4):
        return None
    turns: Messages = []
    for asked, answered in zip(rest[1::4], rest[3::4], strict=True):
        system = _LLAMA_2_SYSTEM.match(asked) if not turns else None
        if system is not None:
            turns.append({"role": "system", "content": system.group(1)})
        question = asked if system is None else system.group(2)
        turns.append({"role": "user", "content": _spaced(question)})
        turns.append({"role": "assistant", "content": _answer(answered)})
    return turns or None


def _answer(said: str) -> str:
    """Without the markers between two exchanges."""
    closed = said.rstrip().removesuffix("<s>").rstrip()
    return _spaced(closed.removesuffix("</s>") if closed.endswith("</s>") else said)


def _spaced(said: str) -> str:
    """Without the one space that the template puts on each side."""
    return said.removeprefix(" ").removesuffix(" ")


def _takes_turns(turns: Messages) -> bool:
    spoken = turns[1:] if turns[0]["role"] == "system" else turns
    roles = [turn["role"] for turn in spoken]
    return (
        len(roles) >= 2
        and roles == ["user", "assistant"] * (len(roles) // 2)
        and all(turn["content"].strip() for turn in spoken[:-1])
    )
