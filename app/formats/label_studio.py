"""Label Studio's exported tasks, with their annotations. Pure.

A task has ``data``: the prompt (``prompt``, ``question``, ``instruction`` or ``input``) and the
candidates. These are either other fields with a string, compared by a ``pairwise`` result (left and
right are the two objects of its ``to_name``, or else the first two fields), or ``items`` of
``{"id", "body"}``, ordered by a ``ranker`` result. Cancelled annotations are not labels, and
neither are predictions, which a model made.
"""

from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Any

from app.formats.columns import annotator_name, objects, ranked
from app.formats.format import Format, Line, Preference, ReadLine, has_keys
from app.formats.named_responses import read_named

_TEXTS = ("body", "html", "text", "title")


def _read(line: Line) -> ReadLine:
    data = line["data"]
    has_items = isinstance(data, dict) and "items" in data
    read, index_of = read_named(data, "data", _items(data) if has_items else None)
    return replace(read, preferences=_preferences(line, index_of))


def _items(data: Mapping[str, Any]) -> dict[str, Any]:
    found = {}
    for each in objects(data, "items"):
        text = next((each[name] for name in _TEXTS if isinstance(each.get(name), str)), None)
        found[str(each.get("id"))] = text
    return found


def _preferences(line: Line, index_of: Mapping[str, int]) -> list[Preference]:
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
                found += _result(result, index_of, user)
    return found


def _result(
    result: Mapping[str, Any], index_of: Mapping[str, int], user: str | None
) -> list[Preference]:
    value = result["value"]
    if result.get("type") == "pairwise":
        pair = _compared(str(result.get("to_name", "")), index_of)
        preferred = {"left": pair[0], "right": pair[1]}.get(str(value.get("selected")))
        return [Preference(pair, preferred, user)]
    if result.get("type") == "ranker":
        return _ranking(value.get("ranker"), index_of, user)
    return []


def _compared(to_name: str, index_of: Mapping[str, int]) -> tuple[int, int]:
    """Left and right: the two names where they are fields, else the first two fields."""
    told = [name.strip() for name in to_name.split(",")]
    found: Sequence[int] = [index_of[name] for name in told if name in index_of]
    left, right = found if len(found) == 2 else sorted(index_of.values())[:2]
    return left, right


def _ranking(ranker: Any, index_of: Mapping[str, int], user: str | None) -> list[Preference]:
    """The longest of the ranker's lists, best first; items in another list are not ranked."""
    lists = ranker.values() if isinstance(ranker, dict) else [ranker]
    found = []
    for order in lists:
        ids = [str(each) for each in order] if isinstance(order, list) else []
        known = [each for each in ids if each in index_of]
        found.append(
            ranked({index_of[each]: -float(rank) for rank, each in enumerate(known)}, user)
        )
    return max(found, key=len, default=[])


FORMAT = Format(
    name="label-studio",
    description="`data` and `annotations` (a Label Studio task)",
    matches=has_keys("data", "annotations"),
    read=_read,
    rank=60,
)
