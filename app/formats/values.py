"""What readers of foreign lines share: lists of objects, numbers, names. Pure."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Final

from app.errors import InvalidInput
from app.formats.place import Place

MAX_ANNOTATOR_CHARACTERS: Final = 256
_STRENGTHS = {"1": 1, "2": 2, "3": 3}


@dataclass(frozen=True, slots=True)
class Preference:
    """One vote on two responses, by their places in the line; None preferred: a tie or both bad."""

    responses: tuple[int, int]
    preferred: int | None
    annotator: str | None = None
    """Who voted; None: the source does not say."""
    strength: int | None = None
    both_bad: bool = False


@dataclass(frozen=True, slots=True)
class ReadLine:
    """A line as the body of ``POST /prompts``, with the preferences it carries."""

    prompt: dict[str, Any]
    preferences: Sequence[Preference] = ()
    names: Mapping[Place, str] = field(default_factory=dict)
    """What the line itself calls the fields of ``prompt``, for errors."""


def objects(line: Mapping[str, Any], key: str) -> list[dict[str, Any]]:
    """A column that holds a list of objects.

    Raises:
        InvalidInput: it holds something else.
    """
    values = line[key]
    if not isinstance(values, list):
        raise InvalidInput(f"{key}: must be a list")
    for number, value in enumerate(values):
        if not isinstance(value, dict):
            raise InvalidInput(f"{key}.{number}: must be an object")
    return values


def number(value: Any) -> float | None:
    """A column's number; what other datasets keep there instead is left out."""
    is_number = isinstance(value, int | float) and not isinstance(value, bool)
    return float(value) if is_number else None


def written_number(value: Any) -> float | None:
    """A number, or one that stands in a string, as ratings often do."""
    if not isinstance(value, str):
        return number(value)
    try:
        return float(value)
    except ValueError:
        return None


def annotator_name(value: Any, where: str) -> str | None:
    """Who voted, as a name: a text, or a number; None where nobody says.

    Raises:
        InvalidInput: it is something else, or too long.
    """
    if value is None:
        return None
    if isinstance(value, int) and not isinstance(value, bool):
        return str(value)
    if not isinstance(value, str) or not 1 <= len(value) <= MAX_ANNOTATOR_CHARACTERS:
        raise InvalidInput(
            f"{where}: must be a name of at most {MAX_ANNOTATOR_CHARACTERS} characters"
        )
    return value


def strength_of(value: Any, preferred: int | None, where: str) -> int | None:
    """How much better the preferred response is, 1 to 3; None where it is not told.

    Raises:
        InvalidInput: it is something else, or nothing is preferred.
    """
    if value is None or value == "":
        return None
    strength = _STRENGTHS.get(str(value).strip())
    if strength is None:
        raise InvalidInput(f"{where}: must be 1, 2 or 3")
    if preferred is None:
        raise InvalidInput(f"{where}: is told only where one response is preferred")
    return strength


def ranked(levels: Mapping[int, float], annotator: str | None = None) -> list[Preference]:
    """All the preferences that a ranking implies: from a response's place to its level, higher is
    better, the same level is a tie."""
    places = sorted(levels)
    return [
        Preference(
            (one, other),
            None if levels[one] == levels[other] else max((one, other), key=levels.__getitem__),
            annotator,
        )
        for at, one in enumerate(places)
        for other in places[at + 1 :]
    ]
