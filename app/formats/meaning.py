"""Columns that change what a line means, by their names. Pure.

Whatever format a line has, these are used, or the line is refused: none is dropped in silence.
"""

import re
from enum import Enum
from functools import lru_cache
from typing import Any, Final

_NOT_LETTERS = re.compile(r"[^a-z0-9]")


class Meaning(Enum):
    """What a column says about the prompt or a response."""

    SYSTEM = "a system turn"
    MORE_TEXT = "a part of what was asked"
    HISTORY = "the turns before"
    TOOLS = "tools, or calls of them"
    MEDIA = "this service shows text only"
    REASONING = "a part of the answer"


_NAMES: Final = {
    Meaning.SYSTEM: "system systemprompt systemmessage systeminstruction systeminstructions "
    "sysprompt systemcontent",
    Meaning.MORE_TEXT: "input inputs context contexts passage passages document documents",
    Meaning.HISTORY: "history chathistory conversationhistory dialoghistory dialoguehistory "
    "previousturns previousmessages conversation conversations messages dialog dialogue",
    Meaning.TOOLS: "tools functions toolcalls toolcall functioncall functioncalls "
    "toolcallid toolchoice availabletools",
    Meaning.MEDIA: "image images imageurl imageurls imagepath imagepaths picture pictures audio "
    "audios audiourl video videos videourl files attachment attachments pixelvalues media",
    Meaning.REASONING: "reasoning reasoningcontent thinking thought thoughts refusal prefill",
}
_MEANING_OF: Final = {name: meaning for meaning, names in _NAMES.items() for name in names.split()}


@lru_cache(maxsize=4096)
def meaning_of(name: str) -> Meaning | None:
    """What a column of this name says; capitals and punctuation do not count."""
    return _MEANING_OF.get(_NOT_LETTERS.sub("", name.lower()))


def is_empty(value: Any) -> bool:
    """Whether a column was not given: null, an empty or blank string, an empty list or object."""
    return value is None or value in ([], {}) or (isinstance(value, str) and not value.strip())
