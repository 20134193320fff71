"""Columns that change what a line means, by their names. Pure.

Whatever format a line has, these are used, or the line is refused: none is dropped in silence.
"""

import re
from enum import Enum
from functools import lru_cache
from typing import Any, Final

_MAX_NAME_CHARACTERS = 64
_WORD = re.compile(r"[a-z]+|[A-Z]+(?![a-z])|[A-Z][a-z]*")
_AFFIXES = frozenset(
    [
        "chosen",
        "rejected",
        "path",
        "paths",
        "url",
        "urls",
        "uri",
        "list",
        "text",
        "file",
        "files",
        "base",
        "data",
        "bytes",
        "json",
        "str",
    ]
)
"""Words that say whose a column is, or how it is written, and not what."""


class Meaning(Enum):
    """What a column says about the prompt or a response."""

    SYSTEM = "a system turn"
    MORE_TEXT = "a part of what was asked"
    HISTORY = "the turns before"
    TOOLS = "tools, or calls of them"
    MEDIA = "this service shows text only"
    REASONING = "a part of the answer"
    INSTRUCTIONS = "a part of what was asked, and where it stands is not sure"


_NAMES: Final = {
    Meaning.SYSTEM: "system systemprompt systemmessage systeminstruction systeminstructions "
    "sysprompt systemcontent developerprompt developermessage",
    Meaning.MORE_TEXT: "input inputs context contexts passage passages document documents article "
    "background retrievedcontext retrievedcontexts retrieveddocuments ctxs",
    Meaning.HISTORY: "history chathistory conversationhistory dialoghistory dialoguehistory "
    "previousturns previousmessages previousconversation conversation conversations messages "
    "dialog dialogue dialogcontext dialoguecontext conversationcontext",
    Meaning.TOOLS: "tools functions toolcalls toolcall functioncall functioncalls toolcallid "
    "toolchoice availabletools availablefunctions tooldefinitions toolschemas",
    Meaning.MEDIA: "image images img imgs picture pictures photo photos screenshot screenshots "
    "audio audios video videos attachment attachments pixelvalues media",
    Meaning.REASONING: "reasoning reasoningcontent reasoningdetails thinking thought thoughts "
    "chainofthought cot scratchpad refusal prefill",
    Meaning.INSTRUCTIONS: "instructions",
}
_MEANING_OF: Final = {name: meaning for meaning, names in _NAMES.items() for name in names.split()}


def meaning_of(name: str) -> Meaning | None:
    """What a column of this name says.

    Capitals, digits and punctuation do not count, nor does whose it is or how it is written:
    ``systemPrompt``, ``image_1`` and ``chosen_images`` are known.
    """
    return _of_name(name) if len(name) <= _MAX_NAME_CHARACTERS else None


@lru_cache(maxsize=4096)
def _of_name(name: str) -> Meaning | None:
    words = [word.lower() for word in _WORD.findall(name)]
    told = (word for word in words if word not in _AFFIXES)
    return _MEANING_OF.get("".join(words)) or _MEANING_OF.get("".join(told))


def is_empty(value: Any) -> bool:
    """Whether a column was not given: null, an empty or blank string, an empty list or object."""
    return value is None or value in ([], {}) or (isinstance(value, str) and not value.strip())


def says_nothing(value: Any) -> bool:
    """Whether a column is empty, also where a table writes that as a list or an object."""
    if isinstance(value, dict):
        return all(map(says_nothing, value.values()))
    if isinstance(value, list):
        return all(map(says_nothing, value))
    return is_empty(value) or (isinstance(value, str) and value.strip() in ("[]", "{}"))
