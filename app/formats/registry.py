"""Read a line of any known format. Each format is a module of this folder. Pure."""

from dataclasses import replace
from typing import Any, Final

from app.errors import InvalidInput
from app.formats.format import Format, ReadLine
from app.formats.row import Row
from app.formats.wrapped_rows import wrapped_rows
from app.registry import collect

AN_ARRAY: Final = "a JSON array: send the objects in it, one a line"

FORMATS: Final = sorted(collect("app.formats", Format), key=lambda each: each.rank)
"""Every format, in the order in which a line is tried."""


def read_line(line: Any, *, keep_extra: bool = False) -> ReadLine:
    """Read a line of any known format.

    Args:
        line: what a JSON line holds.
        keep_extra: put the columns that are left out into the prompt's metadata.

    Raises:
        InvalidInput: no format matches, the line is malformed, or a column that changes its meaning
            cannot be used; the detail names the field.
    """
    if isinstance(line, list):
        raise InvalidInput(AN_ARRAY)
    if not isinstance(line, dict):
        raise InvalidInput("a line must be a JSON object")
    row = Row(line)
    found = find_format(row)
    if found is None:
        if (rows := wrapped_rows(line)) is not None:
            raise InvalidInput(
                f"an object with rows in a list: send the rows, as `jq -c '{rows}'` gives them"
            )
        known = ", or ".join(each.description for each in FORMATS)
        raise InvalidInput(f"no known format: a line has {known}")
    read = found.read(row)
    row.refuse_what_changes_the_meaning()
    left_out = list(row.left_out())
    if not left_out:
        return read
    if keep_extra:
        read = replace(read, prompt=read.prompt | {"metadata": _with_extra(read, left_out)})
    return replace(read, left_out=sorted({name for _, name, _ in left_out}))


def find_format(row: Row) -> Format | None:
    """The format that a line is read by; None where no format matches."""
    return next((each for each in FORMATS if each.matches(row)), None)


def _with_extra(read: ReadLine, left_out: list[tuple[str, str, Any]]) -> Any:
    """The prompt's metadata with the columns that were left out.

    A column of a list's objects, such as ``completions.principle``, becomes the list of its values.

    Raises:
        InvalidInput: the metadata has a field of that name already.
    """
    extra: dict[str, Any] = {}
    for where, name, value in left_out:
        if where == name:
            extra[name] = value
        else:
            extra.setdefault(name, []).append(value)
    metadata = read.prompt.get("metadata")
    if not isinstance(metadata, dict | None):
        return metadata  # which is refused
    for name in extra:
        if name in (metadata or {}):
            raise InvalidInput(f"{name}: `metadata` has a field of that name too")
    return (metadata or {}) | extra
