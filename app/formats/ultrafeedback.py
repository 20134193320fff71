"""UltraFeedback and its like: an instruction, and completions with ratings. Pure.

The score of a completion is its ``overall_score``, else its ``fine-grained_score``, else the mean
of its annotations' ratings. A model gave them, so they are not read as preferences.
"""

from collections.abc import Iterator, Mapping
from typing import Any

from app.errors import Location
from app.formats.columns import objects, written_number
from app.formats.format import Format, Line, ReadLine, has_keys


def _read(line: Line) -> ReadLine:
    completions = objects(line, "completions")
    responses = [
        {"text": each.get("response"), "model": each.get("model"), "score": _score(each)}
        for each in completions
    ]
    names: dict[Location, str] = {("prompt",): "instruction", ("responses",): "completions"}
    for index in range(len(completions)):
        names |= {
            ("responses", index, "text"): f"completions.{index}.response",
            ("responses", index, "model"): f"completions.{index}.model",
        }
    prompt: dict[str, Any] = {"prompt": line["instruction"], "responses": responses}
    if isinstance(line.get("source"), str):
        prompt["metadata"] = {"source": line["source"]}
    return ReadLine(prompt, names=names)


def _score(completion: Mapping[str, Any]) -> float | None:
    for name in ("overall_score", "fine-grained_score", "fine_grained_score"):
        score = written_number(completion.get(name))
        if score is not None:
            return score
    ratings = [
        rating
        for each in _annotations(completion)
        if isinstance(each, dict) and (rating := written_number(each.get("Rating"))) is not None
    ]
    return sum(ratings) / len(ratings) if ratings else None


def _annotations(completion: Mapping[str, Any]) -> Iterator[Any]:
    """The annotations of all aspects: an object by aspect, each with one or a list of them."""
    annotations = completion.get("annotations")
    for aspect in annotations.values() if isinstance(annotations, dict) else ():
        yield from aspect if isinstance(aspect, list) else [aspect]


FORMAT = Format(
    name="ultrafeedback",
    description="`instruction` and `completions` (UltraFeedback)",
    matches=has_keys("instruction", "completions"),
    read=_read,
    rank=40,
)
