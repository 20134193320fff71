"""What the readers of several formats share: lists of objects, numbers, names, rankings. Pure."""

from collections.abc import Mapping
from typing import Any, Final

from app.errors import InvalidInput, Location
from app.formats.format import Line, Preference, ReadLine

MAX_ANNOTATOR_CHARACTERS: Final = 256
_STRENGTHS = {"1": 1, "2": 2, "3": 3}
_PROMPTS = ("prompt", "instruction", "question", "input")


def objects(line: Mapping[str, Any], key: str) -> list[dict[str, Any]]:
    """A column that holds a list of objects.

    Raises:
        InvalidInput: it holds something else.
    """
    values = line[key]
    if not isinstance(values, list):
        raise InvalidInput(f"{key}: must be a list")
    for index, value in enumerate(values):
        if not isinstance(value, dict):
            raise InvalidInput(f"{key}.{index}: must be an object")
    return values


def number(value: Any) -> float | None:
    """A number; None where the column holds anything else."""
    is_number = isinstance(value, int | float) and not isinstance(value, bool)
    return float(value) if is_number else None


def written_number(value: Any) -> float | None:
    """A number, or a string that holds one, as ratings often do; None for anything else."""
    if not isinstance(value, str):
        return number(value)
    try:
        return float(value)
    except ValueError:
        return None


def prompt_column(columns: Mapping[str, Any]) -> str | None:
    """The name of the column that holds the prompt; None where there is none."""
    return next((name for name in _PROMPTS if name in columns), None)


def annotator_name(value: Any, where: str) -> str | None:
    """Who voted: a string, or a number; None where the line does not say.

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
    """How much better the preferred response is, 1 to 3; None where the line does not say.

    Raises:
        InvalidInput: it is something else, or nothing is preferred.
    """
    if value is None or value == "":
        return None
    strength = _STRENGTHS.get(str(value).strip())
    if strength is None:
        raise InvalidInput(f"{where}: must be 1, 2 or 3")
    if preferred is None:
        raise InvalidInput(f"{where}: only for a vote that prefers one response")
    return strength


def ranked(levels: Mapping[int, float], annotator: str | None = None) -> list[Preference]:
    """Every preference that a ranking implies.

    Args:
        levels: by the response's index; higher is better, and the same level is a tie.
        annotator: who made the ranking.
    """
    indexes = sorted(levels)
    return [
        Preference(
            (one, other),
            None if levels[one] == levels[other] else max((one, other), key=levels.__getitem__),
            annotator,
        )
        for start, one in enumerate(indexes, start=1)
        for other in indexes[start:]
    ]


def chosen_and_rejected(line: Line, prompt: Any, chosen: Any, rejected: Any) -> ReadLine:
    """A line with two responses, of which the first is preferred."""
    responses = [
        {"text": chosen, "score": number(line.get("score_chosen"))},
        {"text": rejected, "score": number(line.get("score_rejected"))},
    ]
    names: dict[Location, str] = {("responses",): "chosen, rejected"}
    for index, column in enumerate(("chosen", "rejected")):
        names[("responses", index)] = names[("responses", index, "text")] = column
    return ReadLine({"prompt": prompt, "responses": responses}, [Preference((0, 1), 0)], names)
