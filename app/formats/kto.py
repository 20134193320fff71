"""KTO's rows: one response each, desirable or not. Pure.

Rows of one prompt that stand together make a prompt: each desirable response is preferred to each
that is not.
"""

from typing import Any

from app.errors import InvalidInput, Location
from app.formats.asked import complete, prompt_column
from app.formats.completions import last_message, prompt_in
from app.formats.format import Format, ReadLine
from app.formats.messages import conversation
from app.formats.row import Row
from app.formats.values import flag, identifier, metadata, text_or_empty


def _matches(row: Row) -> bool:
    return row.has("completion") and row.has("label") and prompt_column(row) is not None


def _read(row: Row) -> ReadLine:
    name = prompt_column(row)
    assert name is not None
    asked = complete(row, prompt_in(row, name), name)
    is_desirable = flag(row, "label")
    if is_desirable is None:
        raise InvalidInput("label: must be true or false")
    messages = conversation(row, "completion")
    if messages is None:
        response: dict[str, Any] = {"text": text_or_empty(row.take("completion"))}
    elif len(messages) == 1:
        response = last_message(messages, "completion")
    else:
        raise InvalidInput("completion: must be one message of the assistant")
    names: dict[Location, str] = {
        ("prompt",): asked.name,
        ("responses",): "completion",
        ("responses", 0, "text"): "completion",
    }
    prompt = asked.fields() | {
        "id": identifier(row, "id"),
        "responses": [response],
        "metadata": metadata(row),
    }
    return ReadLine(prompt, names=names, is_desirable=is_desirable)


FORMAT = Format(
    name="kto",
    description="`prompt`, `completion` and `label` (KTO)",
    matches=_matches,
    read=_read,
    rank=85,
)
