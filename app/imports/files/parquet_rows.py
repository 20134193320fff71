"""Read the rows of a Parquet file as JSON has them."""

import math
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import date, datetime, time, timedelta
from decimal import Decimal
from pathlib import Path
from typing import TYPE_CHECKING, Any, BinaryIO, Final
from uuid import UUID

from app.errors import FileUnreadable, InvalidInput
from app.formats.json import parse_json
from app.imports.files.refused import RefusedRows

if TYPE_CHECKING:
    import pyarrow as pa

_ROWS_PER_BATCH: Final = 256
_FREE_FORMS: Final = frozenset({"metadata", "tools", "tool_calls"})
"""Objects with other fields in each row, in which a null stands for a field that is not there."""
_LEAST, _MOST = -(2**63), 2**64 - 1

Row = tuple[int, dict[str, Any]]


def parquet_rows(file: BinaryIO, source: Path, refused: RefusedRows) -> Iterator[Row]:
    """Every row with its number, from 1, but for those that are ``refused``.

    Text without the mark of UTF-8 comes as bytes, and is decoded. JSON of the type for it
    (``arrow.json``) is read, in lists and structs too. Dates and times are written as ISO 8601 has
    them. NaN is null: it is how a missing value is written in a column of numbers.

    Raises:
        FileUnreadable: the file is damaged, or two columns have the same name.
    """
    import pyarrow as pa  # noqa: PLC0415 - takes half a second
    import pyarrow.parquet as pq  # noqa: PLC0415 - as above

    number = 0
    try:
        table = pq.ParquetFile(file)
        names = table.schema_arrow.names
        _check_names(names, source)
        with_json = {column.name for column in table.schema_arrow if _holds_json(column.type)}
        for batch in table.iter_batches(batch_size=_ROWS_PER_BATCH):
            for index in range(batch.num_rows):
                number += 1
                try:
                    row = {
                        name: _cell(batch[name][index], name, with_json=name in with_json)
                        for name in names
                    }
                except _Unreadable as error:
                    refused.add(number, str(error))
                else:
                    yield number, row
    except (pa.ArrowException, OSError) as error:
        raise FileUnreadable(
            f"{source} is damaged ({error}); rows before the damage may have been imported."
        ) from error


class _Unreadable(Exception):
    """A value that JSON has no form for."""

    def __init__(self, path: tuple[str | int, ...], reason: str) -> None:
        super().__init__(f"{'.'.join(map(str, path))}: {reason}")


def _check_names(names: list[str], source: Path) -> None:
    twice = sorted({name for name in names if names.count(name) > 1})
    if twice:
        raise FileUnreadable(f"{source}: two columns have the name {twice[0]!r}.")


@dataclass(frozen=True, slots=True)
class _Json:
    """What a value of the type for JSON says."""

    value: Any


def _holds_json(kind: "pa.DataType") -> bool:
    """Whether values of the type are JSON, or have some in them."""
    if getattr(kind, "extension_name", None) == "arrow.json":
        return True
    inner = [kind.value_type] if hasattr(kind, "value_type") else _fields(kind).values()
    return any(map(_holds_json, inner))


def _fields(kind: "pa.DataType") -> dict[str, Any]:
    """The types of a struct's fields; none for another type."""
    return {each.name: each.type for each in map(kind.field, range(kind.num_fields))}


def _with_json(value: Any, kind: "pa.DataType") -> Any:
    """The value with JSON in it read.

    Raises:
        InvalidInput: it is no valid JSON.
    """
    if value is None or not _holds_json(kind):
        return value
    if isinstance(value, str):
        return _Json(parse_json(value.encode()))
    if isinstance(value, list):
        return [_with_json(each, kind.value_type) for each in value]
    fields = _fields(kind)  # a map has none of its keys
    return {
        name: _with_json(each, fields[name]) if name in fields else each
        for name, each in value.items()
    }


def _cell(cell: "pa.Scalar", name: str, *, with_json: bool) -> Any:
    try:
        value = cell.as_py(maps_as_pydicts="strict")
    except UnicodeDecodeError:
        raise _Unreadable((name,), "text that is not UTF-8") from None
    except KeyError:
        raise _Unreadable((name,), "a map that has a key twice") from None
    except ValueError as error:
        raise _Unreadable((name,), f"cannot be read ({type(error).__name__})") from None
    if with_json:
        try:
            value = _with_json(value, cell.type)
        except InvalidInput as error:
            raise _Unreadable((name,), error.detail) from None
    return _plain(value, (name,))


def _plain(value: Any, path: tuple[str | int, ...]) -> Any:
    """A value as JSON has it.

    Raises:
        _Unreadable: JSON has no form for it.
    """
    if value is None or isinstance(value, str | bool):
        return value
    if isinstance(value, _Json):
        return value.value
    if isinstance(value, dict):
        return _object(value, path)
    if isinstance(value, list):
        return [_plain(each, (*path, index)) for index, each in enumerate(value)]
    if isinstance(value, int | float | Decimal | timedelta):
        return _number(value, path)
    return _text(value, path)


def _text(value: Any, path: tuple[str | int, ...]) -> str:
    if isinstance(value, bytes):
        try:
            return value.decode()
        except UnicodeDecodeError:
            raise _Unreadable(path, "bytes that are not UTF-8") from None
    if isinstance(value, datetime | date | time):
        return value.isoformat()
    if isinstance(value, UUID):
        return str(value)
    raise _Unreadable(path, f"a value of the type {type(value).__name__}")


def _object(value: dict[Any, Any], path: tuple[str | int, ...]) -> dict[str, Any]:
    if not all(isinstance(name, str) for name in value):
        raise _Unreadable(path, "a map whose keys are not text")
    is_free = not _FREE_FORMS.isdisjoint(path)
    return {
        name: _plain(each, (*path, name))
        for name, each in value.items()
        if not (is_free and each is None)
    }


def _number(value: float | Decimal | timedelta, path: tuple[str | int, ...]) -> int | float | None:
    if isinstance(value, timedelta):
        return value.total_seconds()
    if isinstance(value, Decimal | float) and math.isnan(value):
        return None
    if isinstance(value, Decimal):
        value = int(value) if value == value.to_integral_value() else float(value)
    if isinstance(value, float) and math.isinf(value):
        raise _Unreadable(path, "an infinite number")
    if isinstance(value, int) and not _LEAST <= value <= _MOST:
        raise _Unreadable(path, "a whole number of more than 64 bits")
    return value
