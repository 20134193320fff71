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

_WIDE_CHARACTER = 3
"""Chinese, Japanese and Korean say in one character what takes about three elsewhere."""
_BROKEN_WORD = re.compile(r"\S{0,20}\s+")


def question(content: str | Sequence[Mapping[str, Any]]) -> tuple[str, ...]:
    """The texts of what a prompt asks; the mean of their vectors has its direction.

    They are the ends of a string, or of a chat's last user turn that is not blank: one of each
    length in ``QUESTION_CHARACTERS``, as far as the text is that long. The short end keeps a long
    beginning that many prompts share from deciding; the long end, instructions that many prompts
    end with. They depend on this prompt alone. A chat whose user turns are all blank is taken as
    one text.
    """
    text = (content if isinstance(content, str) else _last_user_turn(content)).strip()
    return tuple(dict.fromkeys(_end(text, length) for length in QUESTION_CHARACTERS))


def _last_user_turn(messages: Sequence[Mapping[str, Any]]) -> str:
    for message in reversed(messages):
        if message["role"] == "user" and (message.get("content") or "").strip():
            return str(message["content"])
    return render_prompt(messages)


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
        length -= _WIDE_CHARACTER if unicodedata.east_asian_width(text[place]) in "WF" else 1
        if length < 0:
            return place + 1
    return 0
