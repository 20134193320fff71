"""Label Studio's exported tasks, with their annotations. Pure.

A task has ``data``: the prompt (``prompt``, ``question``, ``instruction`` or ``input``) and the
candidates, either other fields that hold a text (compared by a ``pairwise`` result: left and right
are the two objects of its ``to_name``, or else the first two fields) or ``items`` of
``{"id", "body"}`` (ordered by a ``ranker`` result). Cancelled annotations are no labels;
predictions are a model's.
"""

from collections.abc import Mapping, Sequence
from typing import Any

from app.formats.named_responses import read_named
from app.formats.values import Preference, ReadLine, annotator_name, objects, ranked

_TEXTS = ("body", "html", "text", "title")


def read_task(line: dict[str, Any]) -> ReadLine:
    """Read a task.

    Raises:
        InvalidInput: it has no prompt in its data, or no candidates.
    """
    data = line["data"]
    has_items = isinstance(data, dict) and "items" in data
    named = read_named(data, "data", _items(data) if has_items else None)
    return ReadLine(named.prompt, _preferences(line, named.places), named.names)


def _items(data: Mapping[str, Any]) -> dict[str, Any]:
    found = {}
    for each in objects(data, "items"):
        text = next((each[name] for name in _TEXTS if isinstance(each.get(name), str)), None)
        found[str(each.get("id"))] = text
    return found


def _preferences(line: dict[str, Any], places: Mapping[str, int]) -> list[Preference]:
    found = []
    for number, annotation in enumerate(objects(line, "annotations")):
        if annotation.get("was_cancelled"):
            continue
        by = annotation.get("completed_by")
        who = by.get("email", by.get("id")) if isinstance(by, dict) else by
        user = annotator_name(who, f"annotations.{number}.completed_by")
        results = annotation.get("result")
        for result in results if isinstance(results, list) else ():
            if isinstance(result, dict) and isinstance(result.get("value"), dict):
                found += _votes(result, places, user)
    return found


def _votes(
    result: Mapping[str, Any], places: Mapping[str, int], user: str | None
) -> list[Preference]:
    value = result["value"]
    if result.get("type") == "pairwise":
        pair = _compared(str(result.get("to_name", "")), places)
        preferred = {"left": pair[0], "right": pair[1]}.get(str(value.get("selected")))
        return [Preference(pair, preferred, user)]
    if result.get("type") == "ranker":
        return _ranking(value.get("ranker"), places, user)
    return []


def _compared(to_name: str, places: Mapping[str, int]) -> tuple[int, int]:
    """Left and right: the two names where they are fields, else the first two fields."""
    told = [name.strip() for name in to_name.split(",")]
    found: Sequence[int] = [places[name] for name in told if name in places]
    first, second = found if len(found) == 2 else sorted(places.values())[:2]
    return first, second


def _ranking(ranker: Any, places: Mapping[str, int], user: str | None) -> list[Preference]:
    """The one list that was ordered, best first; what was left in another says nothing."""
    lists = ranker.values() if isinstance(ranker, dict) else [ranker]
    found = []
    for order in lists:
        known = (
            [str(name) for name in order if str(name) in places] if isinstance(order, list) else []
        )
        levels = {places[name]: -float(rank) for rank, name in enumerate(known)}
        found.append(ranked(levels, user))
    return max(found, key=len, default=[])
