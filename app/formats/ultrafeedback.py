"""UltraFeedback and its like: an instruction, and completions with ratings. Pure.

The score of a completion is its ``overall_score``, else its ``fine-grained_score``, else the mean
of its annotations' ratings. A model gave them, so they are not read as preferences.
"""

from collections.abc import Iterator
from typing import Any, Final

from app.errors import InvalidInput, Location
from app.formats.asked import prompt_column, read_asked
from app.formats.completions import response_in
from app.formats.format import Format, ReadLine
from app.formats.own import response
from app.formats.row import Row
from app.formats.values import as_number, identifier, metadata

_TEXTS: Final = ("response", "text", "content", "output", "completion", "generation")


def _matches(row: Row) -> bool:
    return row.has("completions") and prompt_column(row) is not None


def _read(row: Row) -> ReadLine:
    asked = read_asked(row)
    if asked is None:
        raise InvalidInput("no prompt: a line has `instruction` or `prompt`")
    parts = row.objects("completions")
    responses = []
    names: dict[Location, str] = {("prompt",): asked.name, ("responses",): "completions"}
    for index, part in enumerate(parts):
        text = next((name for name in _TEXTS if part.has(name)), _TEXTS[0])
        found = response(part, response_in(part, text, asked.content))
        score = _score(part)
        responses.append(found if score is None else found | {"score": score})
        names[("responses", index)] = part.place
        names[("responses", index, "text")] = part.where(text)
    prompt: dict[str, Any] = asked.fields() | {
        "id": identifier(row, "id"),
        "responses": responses,
        "metadata": metadata(row),
    }
    if isinstance(row.peek("source"), str) and row.gives("source") and not prompt["metadata"]:
        prompt["metadata"] = {"source": row.take("source")}
    row.ignore("models")  # each completion names its own
    return ReadLine(prompt, names=names, no_label="a model's ratings are no preferences")


def _score(part: Row) -> float | None:
    part.ignore("annotations", "critique", "fine-grained_score", "fine_grained_score")
    for name in ("overall_score", "fine-grained_score", "fine_grained_score"):
        score = as_number(part.take(name))
        if score is not None:
            return score
    ratings = [
        rating
        for each in _annotations(part)
        if isinstance(each, dict) and (rating := as_number(each.get("Rating"))) is not None
    ]
    return sum(ratings) / len(ratings) if ratings else None


def _annotations(part: Row) -> Iterator[Any]:
    """The annotations of all aspects: an object by aspect, each with one or a list of them."""
    annotations = part.peek("annotations")
    for aspect in annotations.values() if isinstance(annotations, dict) else ():
        yield from aspect if isinstance(aspect, list) else [aspect]


FORMAT = Format(
    name="ultrafeedback",
    description="`instruction` and `completions` (UltraFeedback)",
    matches=_matches,
    read=_read,
    rank=40,
)
