"""Parquet, a row group at a time."""

from collections.abc import Iterable
from typing import Final

import orjson
import pyarrow as pa
import pyarrow.parquet as pq

from app.exports.recipe import Columns, ColumnType, Layout, Row
from app.exports.streaming import Sink

_ROWS_PER_GROUP: Final = 4096
_CHARACTERS_PER_GROUP: Final = 8 * 1024 * 1024
_MESSAGE: Final = pa.struct([("role", pa.string()), ("content", pa.string())])
_SPEAKER: Final = pa.struct([("from", pa.string()), ("value", pa.string())])
_TEXT_LIST: Final = pa.list_(pa.string())
_JSON_LIST: Final = pa.list_(pa.json_())
_TYPES: Final = {
    ColumnType.TEXT: pa.string(),
    ColumnType.NUMBER: pa.float64(),
    ColumnType.COUNT: pa.int64(),
    ColumnType.FLAG: pa.bool_(),
    ColumnType.TEXTS: _TEXT_LIST,
    ColumnType.TEXT_LISTS: pa.list_(pa.list_(pa.string())),
    ColumnType.NUMBERS: pa.list_(pa.float64()),
    ColumnType.MESSAGE: _MESSAGE,
    ColumnType.MESSAGES: pa.list_(_MESSAGE),
    ColumnType.SPEAKER: _SPEAKER,
    ColumnType.SPEAKERS: pa.list_(_SPEAKER),
    ColumnType.TOOLS: _JSON_LIST,
    ColumnType.SOURCE: pa.struct(
        [("prompt_id", pa.string()), ("prompt_external_id", pa.string()), ("roles", _TEXT_LIST)]
    ),
}


def parquet_schema(columns: Columns, layout: Layout, *, whole_messages: bool = False) -> pa.Schema:
    """The schema of a file, which does not depend on its rows.

    Args:
        columns: those of the file.
        layout: whether turns are strings or messages.
        whole_messages: messages are JSON, since each may have other fields than the next; as
            structs they would all have every field, most of them null, which templates misread.
    """
    turns = pa.string() if layout is Layout.STANDARD else pa.list_(_MESSAGE)
    types = {**_TYPES, ColumnType.TURNS: _JSON_LIST if whole_messages else turns}
    return pa.schema([(name, types[kind]) for name, kind in columns.items()])


class ParquetRowGroups:
    """Writes rows as Parquet; a piece is ready when a row group is full.

    The size of a row group depends on the rows alone, so the same rows give the same bytes.
    """

    media_type: Final = "application/vnd.apache.parquet"

    def __init__(self, columns: Columns, layout: Layout, *, whole_messages: bool = False) -> None:
        self._schema = parquet_schema(columns, layout, whole_messages=whole_messages)
        self._in_json = [field.name for field in self._schema if field.type == _JSON_LIST]
        self._in_strings = pa.schema(
            [
                pa.field(field.name, _TEXT_LIST if field.type == _JSON_LIST else field.type)
                for field in self._schema
            ]
        )
        self._sink = Sink()
        self._writer = pq.ParquetWriter(self._sink, self._schema, compression="zstd")
        self._rows: list[Row] = []
        self._characters = 0

    def encode(self, rows: Iterable[Row]) -> bytes:
        """Add rows, and return each row group that is full."""
        for row in rows:
            self._rows.append(row)
            self._characters += sum(_characters(value) for value in row.values())
            if len(self._rows) >= _ROWS_PER_GROUP or self._characters >= _CHARACTERS_PER_GROUP:
                self._write_row_group()
        return self._sink.take()

    def finish(self) -> bytes:
        """Write the rows that are left, and the footer."""
        if self._rows:
            self._write_row_group()
        self._writer.close()
        return self._sink.take()

    def _write_row_group(self) -> None:
        self._writer.write_table(self._table())
        self._rows.clear()
        self._characters = 0

    def _table(self) -> pa.Table:
        if not self._in_json:
            return pa.Table.from_pylist(self._rows, schema=self._schema)
        # Lists of JSON cannot be made of Python values directly.
        rows = [row | {name: _as_json(row[name]) for name in self._in_json} for row in self._rows]
        return pa.Table.from_pylist(rows, schema=self._in_strings).cast(self._schema)


def _as_json(values: list[object] | None) -> list[str] | None:
    return None if values is None else [orjson.dumps(value).decode() for value in values]


def _characters(value: object) -> int:
    if isinstance(value, str):
        return len(value)
    if isinstance(value, list):
        return sum(map(_characters, value))
    if isinstance(value, dict):
        return sum(map(_characters, value.values()))
    return 0
