"""Two responses side by side, and which won: the columns of a hand-made table. Pure.

``prompt`` (or ``instruction``, ``question``, ``input``), ``response_a`` and ``response_b`` (or
``response_1`` and ``response_2``, or without the underscore), and, all of them optional:
``winner``, ``annotator``, ``strength`` (1 to 3), ``id``, ``model_a`` and ``model_b`` (or ``_1`` and
``_2``). The winner is a letter, a number or a column, or ``tie`` or ``both_bad``. Other columns are
left out.
"""

from typing import Any

from app.errors import InvalidInput, Location
from app.formats.columns import annotator_name, prompt_column, strength_of
from app.formats.format import Format, Line, Preference, ReadLine

_SIDES = (("_a", "_b"), ("_1", "_2"), ("1", "2"))
_TIES = frozenset({"tie", "both", "equal", "same", "draw"})
_BOTH_BAD = frozenset({"both_bad", "bothbad", "both bad", "tie (bothbad)", "neither"})


def _sides(line: Line) -> tuple[str, str] | None:
    """How the line's columns of the two responses end; None where it has no such columns."""
    return next(
        (sides for sides in _SIDES if all(f"response{side}" in line for side in sides)), None
    )


def _matches(line: Line) -> bool:
    return _sides(line) is not None


def _read(line: Line) -> ReadLine:
    sides = _sides(line)
    assert sides is not None
    asked = prompt_column(line)
    if asked is None:
        raise InvalidInput("no prompt: a line has `prompt`, `instruction`, `question` or `input`")
    prompt: dict[str, Any] = {
        "id": _id(line.get("id")),
        "prompt": line[asked],
        "responses": [
            {"text": line[f"response{side}"], "model": line.get(f"model{side}")} for side in sides
        ],
    }
    names: dict[Location, str] = {
        ("prompt",): asked,
        ("responses",): f"response{sides[0]}, response{sides[1]}",
    }
    for index, side in enumerate(sides):
        names[("responses", index, "text")] = f"response{side}"
        names[("responses", index, "model")] = f"model{side}"
    return ReadLine(prompt, _preferences(line, sides), names)


def _preferences(line: Line, sides: tuple[str, str]) -> list[Preference]:
    winner = line.get("winner")
    if winner is None or winner == "":
        return []
    told = str(winner).strip().lower()
    preferred = next((index for index, side in enumerate(sides) if told in _names(side)), None)
    if preferred is None and told not in _TIES | _BOTH_BAD:
        raise InvalidInput(
            f"winner: must be {sides[0].strip('_')}, {sides[1].strip('_')}, tie or both_bad"
        )
    return [
        Preference(
            (0, 1),
            preferred,
            annotator_name(line.get("annotator"), "annotator"),
            strength=strength_of(line.get("strength"), preferred, "strength"),
            both_bad=told in _BOTH_BAD,
        )
    ]


def _names(side: str) -> set[str]:
    """What a winner may be called."""
    return {side.strip("_"), f"response{side}", f"model{side}"}


def _id(given: Any) -> Any:
    """An id as a string: tables number their rows."""
    is_number = isinstance(given, int) and not isinstance(given, bool)
    return str(given) if is_number else given


FORMAT = Format(
    name="side-by-side",
    description="`response_a` and `response_b`",
    matches=_matches,
    read=_read,
    rank=90,
)
