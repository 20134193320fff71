"""A prompt as one text."""

from collections.abc import Mapping, Sequence
from typing import Any


def render_prompt(content: str | Sequence[Mapping[str, Any]]) -> str:
    """The string itself, or chat messages as ``role: content`` turns with a blank line between."""
    if isinstance(content, str):
        return content
    return "\n\n".join(f"{message['role']}: {message['content']}" for message in content)
