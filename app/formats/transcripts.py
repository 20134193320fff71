r"""Transcripts as Anthropic's HH data has them: ``\n\nHuman: …\n\nAssistant: …``. Pure."""

import re
from typing import Any

from app.errors import InvalidInput

_ASSISTANT = "\n\nAssistant:"
_TURN = re.compile(r"\n\n(Human|Assistant):")
_ROLES = {"Human": "user", "Assistant": "assistant"}


def looks_like_transcript(text: str) -> bool:
    """Whether the text has an assistant's turn."""
    return _ASSISTANT in text


def split_transcripts(chosen: str, rejected: str) -> tuple[Any, str, str]:
    """The prompt that two transcripts share, and the last turn of each, stripped.

    The prompt is chat messages where it reads as the two speakers in turn, else a string.

    Raises:
        InvalidInput: the dialogues diverge before the last turn.
    """
    dialogue, _, preferred = chosen.rpartition(_ASSISTANT)
    other_dialogue, _, other = rejected.rpartition(_ASSISTANT)
    if dialogue.strip() != other_dialogue.strip():
        raise InvalidInput("chosen, rejected: the dialogues diverge before the last turn")
    return _messages(dialogue) or dialogue.strip(), preferred.strip(), other.strip()


def _messages(dialogue: str) -> list[dict[str, str]] | None:
    """The turns as messages; None unless they alternate, begin and end with the human's."""
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
