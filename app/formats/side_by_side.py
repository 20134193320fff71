"""Two responses side by side, and which won: the columns of a hand-made table. Pure.

``prompt`` (or ``instruction``, ``question``, ``input``), ``response_a`` and ``response_b`` (or
``response_1`` and ``response_2``, or without the underscore), and, all of them optional:
``winner``, ``annotator``, ``strength`` (1 to 3), ``id``, ``model_a`` and ``model_b`` (or ``_1`` and
``_2``). A winner is told by its letter, number or column; a ``tie`` or ``both_bad`` is told so.
Other columns are left out.
"""

from typing import Any

from app.errors import InvalidInput
from app.formats.named_responses import prompt_column
from app.formats.place import Place
from app.formats.values import Preference, ReadLine, annotator_name, strength_of

_SIDES = (("_a", "_b"), ("_1", "_2"), ("1", "2"))
_TIES = frozenset({"tie", "both", "equal", "same", "draw"})
_BOTH_BAD = frozenset({"both_bad", "bothbad", "both bad", "tie (bothbad)", "neither"})


def has_sides(line: dict[str, Any]) -> bool:
    """Whether the line has two responses side by side."""
    return any(_has(line, sides) for sides in _SIDES)


def read_pair(line: dict[str, Any]) -> ReadLine:
    """Read a line with two responses side by side.

    Raises:
        InvalidInput: it has no prompt, or a winner that is none of the two.
    """
    sides = next(sides for sides in _SIDES if _has(line, sides))
    asked = prompt_column(line)
    if asked is None:
        raise InvalidInput("no prompt: a line has `prompt`, `instruction`, `question` or `input`")
    prompt: dict[str, Any] = {
        "id": _text(line.get("id")),
        "prompt": line[asked],
        "responses": [
            {"text": line[f"response{side}"], "model": line.get(f"model{side}")} for side in sides
        ],
    }
    names: dict[Place, str] = {
        ("prompt",): asked,
        ("responses",): f"response{sides[0]}, response{sides[1]}",
    }
    for place, side in enumerate(sides):
        names[("responses", place, "text")] = f"response{side}"
        names[("responses", place, "model")] = f"model{side}"
    return ReadLine(prompt, _votes(line, sides), names)


def _has(line: dict[str, Any], sides: tuple[str, str]) -> bool:
    return all(f"response{side}" in line for side in sides)


def _votes(line: dict[str, Any], sides: tuple[str, str]) -> list[Preference]:
    winner = line.get("winner")
    if winner is None or winner == "":
        return []
    told = str(winner).strip().lower()
    preferred = next((place for place, side in enumerate(sides) if told in _names(side)), None)
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
    bare = side.strip("_")
    return {bare, f"response{side}", f"model{side}"}


def _text(own_id: Any) -> Any:
    """An id; a table's numbers are one too."""
    is_number = isinstance(own_id, int) and not isinstance(own_id, bool)
    return str(own_id) if is_number else own_id
