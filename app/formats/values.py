"""Single values of a row, whatever type a file's format gave them. Pure.

A table writes numbers as strings, a data frame writes whole numbers as ``3.0``, and ids are numbers
as often as strings: each is brought to one type here, for every format.
"""

import math
import re
from typing import Any, Final

from app.errors import InvalidInput
from app.formats.meaning import is_empty
from app.formats.row import Row, decoded

_WHOLE: Final = re.compile(r"\d{1,15}\.0")
_FLAGS: Final[dict[str | float, bool]] = {"true": True, 1.0: True, "false": False, 0.0: False}
MAX_ANNOTATOR_CHARACTERS: Final = 256
_INEXACT: Final = 2.0**53
"""From here on, different whole numbers are the same float."""
_STRENGTHS: Final = {1.0: 1, 2.0: 2, 3.0: 3}


def text_or_empty(value: Any) -> Any:
    """A text; null is an empty one. What is no text is left for the caller to refuse."""
    return "" if value is None else value


def identifier(row: Row, name: str) -> str | None:
    """An id as a string: any scalar is one; None where the column is empty.

    Raises:
        InvalidInput: it is a list or an object.
    """
    value = row.take(name)
    if value is None or value == "":
        return None
    if isinstance(value, list | dict):
        raise InvalidInput(f"{row.where(name)}: must be a string or a number")
    if isinstance(value, float) and abs(value) >= _INEXACT:
        raise InvalidInput(f"{row.where(name)}: a number of so many digits must be a string")
    return as_name(value)


def as_name(value: Any) -> str:
    """A scalar as the string that it is written as; ``3.0`` is ``3``."""
    if isinstance(value, str):
        return value
    if isinstance(value, bool):
        return str(value).lower()
    if isinstance(value, float) and value.is_integer():
        return str(int(value))
    return str(value)


def as_whole(value: Any) -> Any:
    """The number of a string such as ``1.0``, as data frames write it; any other value as it is."""
    if isinstance(value, str) and _WHOLE.fullmatch(value.strip()):
        return int(float(value))
    return value


def number(row: Row, name: str) -> float | None:
    """A number, or a string with one; None where the column is empty.

    Raises:
        InvalidInput: it is something else.
    """
    value = row.take(name)
    if is_empty(value):
        return None
    found = as_number(value)
    if found is None:
        raise InvalidInput(f"{row.where(name)}: must be a number")
    return found


def as_number(value: Any) -> float | None:
    """A finite number, or a string with one; None for anything else."""
    if isinstance(value, bool) or not isinstance(value, int | float | str):
        return None
    try:
        found = float(value)
    except (ValueError, OverflowError):
        return None
    return found if math.isfinite(found) else None


def flag(row: Row, name: str) -> bool | None:
    """A truth value: true or false, 1 or 0, or a string with one; None where it is empty.

    Raises:
        InvalidInput: it is something else.
    """
    value = row.take(name)
    if is_empty(value):
        return None
    told = as_number(value)
    found = _FLAGS.get(str(value).lower() if told is None else told)
    if found is None:
        raise InvalidInput(f"{row.where(name)}: must be true or false")
    return found


def annotator(row: Row, name: str) -> str | None:
    """Who voted; None where the line does not say.

    Raises:
        InvalidInput: it is a list or an object, or too long.
    """
    found = identifier(row, name)
    if found is not None and len(found) > MAX_ANNOTATOR_CHARACTERS:
        raise InvalidInput(
            f"{row.where(name)}: must be a name of at most {MAX_ANNOTATOR_CHARACTERS} characters"
        )
    return found


def strength(row: Row, preferred: int | None) -> int | None:
    """How much better the preferred response is, 1 to 3; None where the line does not say.

    Raises:
        InvalidInput: it is something else, or nothing is preferred.
    """
    value = row.take("strength")
    if is_empty(value):
        return None
    found = _STRENGTHS.get(as_number(value) or 0.0)
    if found is None:
        raise InvalidInput(f"{row.where('strength')}: must be 1, 2 or 3")
    if preferred is None:
        raise InvalidInput(f"{row.where('strength')}: only for a vote that prefers one response")
    return found


def metadata(row: Row) -> dict[str, Any] | None:
    """The column ``metadata`` where it holds an object; None, and not taken, where it does not."""
    value = decoded(row.peek("metadata"))
    if not isinstance(value, dict):
        return None
    row.take("metadata")
    return value
