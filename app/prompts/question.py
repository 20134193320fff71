"""What a prompt asks: the texts by which prompts are grouped. Pure.

Prompts are near-duplicates of each other if they ask the same, whatever stands before it: a system
turn, earlier turns, instructions that a whole collection begins with.
"""

import re
import unicodedata
from collections.abc import Mapping, Sequence
from typing import Any, Final

from app.prompts.text import render_prompt

QUESTION_VERSION: Final = 1
"""To raise with every change of ``question``: the embedder then makes all its vectors anew."""
QUESTION_CHARACTERS: Final = (400, 120)
"""How long the ends are that are embedded, the longest first."""

_SHORTEST_TURN = 12
"""A user turn with fewer characters says too little without the turn before it."""
_WIDE_CHARACTER = 3
"""Chinese, Japanese and Korean say in one character what takes about three elsewhere."""
_BROKEN_WORD = re.compile(r"\S{0,20}\s+")


def question(content: str | Sequence[Mapping[str, Any]]) -> tuple[str, ...]:
    """The texts of what a prompt asks; the mean of their vectors has its direction.

    They are the ends of a string, or of a chat's last user turn that is not blank: one of each
    length in ``QUESTION_CHARACTERS``, as far as the text is that long. The short end keeps a long
    beginning that many prompts share from deciding; the long end, instructions that many prompts
    end with. They depend on this prompt alone. A very short turn ("Go on.") is read after the turn
    before it. A chat whose user turns are all blank is taken as one text.
    """
    text = (content if isinstance(content, str) else _last_user_turn(content)).strip()
    return tuple(dict.fromkeys(_end(text, length) for length in QUESTION_CHARACTERS))


def _last_user_turn(messages: Sequence[Mapping[str, Any]]) -> str:
    turns = [
        (message["role"], text)
        for message in messages
        if message["role"] != "system" and (text := str(message.get("content") or "").strip())
    ]
    while turns and turns[-1][0] != "user":
        turns.pop()
    if not turns:
        return render_prompt(messages)
    asked = turns[-1][1]
    is_alone = len(turns) == 1 or sum(map(_width, asked)) >= _SHORTEST_TURN
    return asked if is_alone else f"{turns[-2][1]}\n\n{asked}"


def _end(text: str, length: int) -> str:
    """The last characters of a text, without the end of a word that begins before them."""
    start = _start(text, length)
    if not start:
        return text
    broken = None if text[start - 1].isspace() else _BROKEN_WORD.match(text, start)
    return text[broken.end() if broken else start :].lstrip()


def _start(text: str, length: int) -> int:
    """Where the last characters of a text begin that are no longer than ``length``."""
    for place in range(len(text) - 1, -1, -1):
        length -= _width(text[place])
        if length < 0:
            return place + 1
    return 0


def _width(character: str) -> int:
    """How much a character counts."""
    return _WIDE_CHARACTER if unicodedata.east_asian_width(character) in "WF" else 1
