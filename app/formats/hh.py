r"""Anthropic's HH: two transcripts, ``\n\nHuman: …\n\nAssistant: …``, that differ at the end. Pure.

The last turn of each is a response, and the turns before it are the prompt: chat messages where
the two speakers alternate, else a string.
"""

import re

from app.errors import InvalidInput
from app.formats.columns import chosen_and_rejected
from app.formats.format import Format, Line, ReadLine

_ASSISTANT = "\n\nAssistant:"
_TURN = re.compile(r"\n\n(Human|Assistant):")
_ROLES = {"Human": "user", "Assistant": "assistant"}


def _matches(line: Line) -> bool:
    transcripts = [line.get("chosen"), line.get("rejected")]
    return line.get("prompt") is None and all(
        isinstance(each, str) and _ASSISTANT in each for each in transcripts
    )


def _read(line: Line) -> ReadLine:
    dialogue, _, chosen = line["chosen"].rpartition(_ASSISTANT)
    other_dialogue, _, rejected = line["rejected"].rpartition(_ASSISTANT)
    if dialogue.strip() != other_dialogue.strip():
        raise InvalidInput("chosen, rejected: the dialogues diverge before the last turn")
    content = _messages(dialogue) or dialogue.strip()
    return chosen_and_rejected(line, content, chosen.strip(), rejected.strip())


def _messages(dialogue: str) -> list[dict[str, str]] | None:
    """The turns as messages; None unless they alternate, and begin and end with the human's."""
    before, *rest = _TURN.split("\n\n" + dialogue.lstrip("\n"))
    speakers, texts = rest[::2], [text.strip() for text in rest[1::2]]
    expected = ["Human", "Assistant"] * len(speakers)
    if before.strip() or not all(texts) or len(speakers) % 2 == 0:
        return None
    if speakers != expected[: len(speakers)]:
        return None
    return [
        {"role": _ROLES[speaker], "content": text}
        for speaker, text in zip(speakers, texts, strict=True)
    ]


FORMAT = Format(
    name="hh",
    description="`chosen` and `rejected` transcripts (Anthropic HH)",
    matches=_matches,
    read=_read,
    rank=70,
)
