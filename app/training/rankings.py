"""Rows of the recipe ``ranking`` as prompts and responses."""

from collections.abc import Mapping
from typing import Any

from app.formats.pro import FORMAT
from app.formats.row import Row
from app.prompts.text import render_for_export


def prompt_and_responses(row: Mapping[str, Any], *, as_chat: bool) -> tuple[Any, list[Any]]:
    """The prompt and its responses, best first: strings, or messages for a model of chats.

    Raises:
        InvalidInput: the row is no ranking.
    """
    read = FORMAT.read(Row(row)).prompt
    content, texts = read["prompt"], [response["text"] for response in read["responses"]]
    if not as_chat:
        return render_for_export(content), texts
    turns = [{"role": "user", "content": content}] if isinstance(content, str) else content
    return turns, [[{"role": "assistant", "content": text}] for text in texts]
