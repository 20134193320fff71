"""UltraFeedback and its like: an instruction, and completions with ratings. Pure.

The score of a completion is its ``overall_score``, else its ``fine-grained_score``, else the mean
of its annotations' ratings. They are a model's: no preferences are made of them.
"""

from collections.abc import Mapping
from typing import Any

from app.formats.place import Place
from app.formats.values import ReadLine, objects, written_number


def read_completions(line: dict[str, Any]) -> ReadLine:
    """Read a line with ``instruction`` and ``completions``.

    Raises:
        InvalidInput: the completions are no list of objects.
    """
    completions = objects(line, "completions")
    responses = [
        {"text": each.get("response"), "model": each.get("model"), "score": _score(each)}
        for each in completions
    ]
    names: dict[Place, str] = {("prompt",): "instruction", ("responses",): "completions"}
    for place in range(len(completions)):
        names |= {
            ("responses", place, "text"): f"completions.{place}.response",
            ("responses", place, "model"): f"completions.{place}.model",
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
    ratings = [rating for each in _annotations(completion) if (rating := _rating(each)) is not None]
    return sum(ratings) / len(ratings) if ratings else None


def _annotations(completion: Mapping[str, Any]) -> list[Any]:
    """The annotations of all aspects: an object by aspect, of which each may be a list."""
    annotations = completion.get("annotations")
    if not isinstance(annotations, dict):
        return []
    found: list[Any] = []
    for aspect in annotations.values():
        found += aspect if isinstance(aspect, list) else [aspect]
    return found


def _rating(annotation: Any) -> float | None:
    return written_number(annotation.get("Rating")) if isinstance(annotation, dict) else None
