"""KTO's rows: one response each, desirable or not. Pure.

Rows of one prompt that stand together make a prompt: each desirable response is preferred to each
that is not.
"""

from app.errors import InvalidInput, Location
from app.formats.asked import complete, prompt_column
from app.formats.completions import prompt_beside, response_in
from app.formats.format import Format, ReadLine
from app.formats.row import Row
from app.formats.values import flag, identifier, metadata


def _matches(row: Row) -> bool:
    return row.has("completion") and row.has("label") and prompt_column(row) is not None


def _read(row: Row) -> ReadLine:
    name = prompt_column(row)
    assert name is not None
    asked = complete(row, prompt_beside(row, name), name)
    is_desirable = flag(row, "label")
    if is_desirable is None:
        raise InvalidInput("label: must be true or false")
    response = response_in(row, "completion", asked.content)
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
