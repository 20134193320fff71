"""Read a line of any known format. Each format is a module of this folder. Pure."""

from typing import Any, Final

from app.errors import InvalidInput
from app.formats.format import Format, Line, ReadLine
from app.registry import collect

AN_ARRAY: Final = "a JSON array: send the objects in it, one a line"

FORMATS: Final = sorted(collect("app.formats", Format), key=lambda each: each.rank)
"""Every format, in the order in which a line is tried."""


def read_line(line: Any) -> ReadLine:
    """Read a line of any known format.

    Raises:
        InvalidInput: no format matches, or the line is malformed; the detail names the field.
    """
    if isinstance(line, list):
        raise InvalidInput(AN_ARRAY)
    if not isinstance(line, dict):
        raise InvalidInput("a line must be a JSON object")
    found = find_format(line)
    if found is None:
        known = ", or ".join(each.description for each in FORMATS)
        raise InvalidInput(f"no known format: a line has {known}")
    return found.read(line)


def find_format(line: Line) -> Format | None:
    """The format that a line is read by; None where no format matches."""
    return next((each for each in FORMATS if each.matches(line)), None)
