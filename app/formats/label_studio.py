"""Label Studio's exported tasks, with their annotations. Pure.

A task has ``data``: the prompt and the candidates. These are either the two fields that a
``pairwise`` result names in its ``to_name``, left and right, or ``items`` of ``{"id", "body"}``,
ordered by a ``ranker`` result. Cancelled annotations are not labels, and neither are predictions,
which a model made.
"""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, replace
from typing import Any, Final

from app.errors import InvalidInput
from app.formats.asked import PROMPTS
from app.formats.candidates import Columns, find_candidates, read_candidates, read_items
from app.formats.format import Format, Preference, ReadLine, has_keys
from app.formats.preferences import ranked
from app.formats.row import Row
from app.formats.values import annotator, as_name, identifier, text_or_empty

_TEXTS: Final = ("body", "html", "text", "title")
_SIDES: Final = {"left": 0, "right": 1}
_TIES: Final = ("tie", "equal", "same")
_BOOKKEEPING: Final = (
    "id",
    "inner_id",
    "predictions",
    "drafts",
    "created_at",
    "updated_at",
    "project",
    "updated_by",
    "file_upload",
    "allow_skip",
    "total_annotations",
    "cancelled_annotations",
    "total_predictions",
    "comment_count",
    "unresolved_comment_count",
    "last_comment_updated_at",
    "comment_authors",
)


@dataclass(frozen=True, slots=True)
class _Result:
    """One result of an annotation."""

    kind: str
    to_name: str
    value: Mapping[str, Any]
    user: str | None
    where: str


def _read(row: Row) -> ReadLine:
    row.ignore(*_BOOKKEEPING)
    data = row.object("data")
    results = list(_results(row))
    compared: dict[str, tuple[str, str]] = {}
    if data.has("items"):
        read, index_of = read_items(data, _items(data))
    else:
        columns = Columns(data)
        compared = {
            each.where: _compared(each, columns) for each in results if each.kind == "pairwise"
        }
        named = {name for pair in compared.values() for name in pair}
        read, index_of = read_candidates(data, data.order(named) or find_candidates(data, ()))
    preferences = [
        preference
        for each in results
        for preference in _preferences(each, compared.get(each.where), index_of)
    ]
    return replace(read, preferences=preferences, no_label="no annotation prefers one")


def _items(data: Row) -> dict[str, Any]:
    """The texts of the items, by their ids."""
    found: dict[str, Any] = {}
    for each in data.objects("items"):
        text = next((name for name in _TEXTS if isinstance(each.peek(name), str)), _TEXTS[0])
        name = identifier(each, "id")
        if name is None or name in found:
            problem = "missing" if name is None else "another item has it too"
            raise InvalidInput(f"{each.where('id')}: {problem}")
        found[name] = text_or_empty(each.take(text))
    return found


def _results(row: Row) -> Iterator[_Result]:
    for annotation in row.objects("annotations"):
        annotation.ignore(*[name for name in annotation.names() if name != "result"])
        if annotation.peek("was_cancelled"):
            continue
        user = _user(annotation)
        results = annotation.take("result")
        for number, result in enumerate(results if isinstance(results, list) else ()):
            if isinstance(result, dict) and isinstance(result.get("value"), dict):
                yield _Result(
                    str(result.get("type")),
                    str(result.get("to_name", "")),
                    result["value"],
                    user,
                    f"{annotation.place}.result.{number}",
                )


def _user(annotation: Row) -> str | None:
    by = annotation.peek("completed_by")
    if isinstance(by, dict):
        person = Row(by, annotation.where("completed_by"))
        return annotator(person, "email" if person.gives("email") else "id")
    return annotator(annotation, "completed_by")


def _preferences(
    result: _Result, pair: tuple[str, str] | None, index_of: Mapping[str, int]
) -> list[Preference]:
    if pair is not None:
        return _choice(result, pair, index_of)
    if result.kind == "ranker":
        return _ranking(result, index_of)
    return []


def _compared(result: _Result, columns: Columns) -> tuple[str, str]:
    """The columns on the left and on the right.

    Raises:
        InvalidInput: the result does not name two columns with responses.
    """
    told = [name.strip() for name in result.to_name.split(",")]
    found = [name for each in told if (name := columns.find(each)) is not None]
    if len(told) != 2 or len(set(found)) != 2 or any(name in PROMPTS for name in found):
        raise InvalidInput(
            f"{result.where}.to_name: must name two columns of `data`, left and right"
        )
    return found[0], found[1]


def _choice(
    result: _Result, pair: tuple[str, str], index_of: Mapping[str, int]
) -> list[Preference]:
    selected = result.value.get("selected")
    if selected is None:
        return []
    if not isinstance(selected, str) or selected not in (*_SIDES, *_TIES):
        raise InvalidInput(f"{result.where}.value.selected: must be left, right or tie")
    sides = (index_of[pair[0]], index_of[pair[1]])
    preferred = sides[_SIDES[selected]] if selected in _SIDES else None
    return [Preference(sides, preferred, result.user)]


def _ranking(result: _Result, index_of: Mapping[str, int]) -> list[Preference]:
    """The order of the ranker's one list; the list ``_`` holds what was not ranked."""
    ranker = result.value.get("ranker")
    lists = ranker if isinstance(ranker, dict) else {"rank": ranker}
    orders = {
        name: [as_name(each) for each in order]
        for name, order in lists.items()
        if name != "_" and isinstance(order, list) and order
    }
    if len(orders) > 1:
        raise InvalidInput(
            f"{result.where}.value.ranker: has several lists, and which of them is a ranking is not"
            " sure"
        )
    for order in orders.values():
        if len(set(order)) < len(order) or not all(each in index_of for each in order):
            raise InvalidInput(f"{result.where}.value.ranker: names something that is no item")
        levels = {index_of[each]: -float(rank) for rank, each in enumerate(order)}
        return ranked(levels, result.user)
    return []


FORMAT = Format(
    name="label-studio",
    description="`data` and `annotations` (a Label Studio task)",
    matches=has_keys("data", "annotations"),
    read=_read,
    rank=60,
)
