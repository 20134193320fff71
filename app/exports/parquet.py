"""Parquet, a row group at a time."""

from collections.abc import Iterable
from typing import Final

import pyarrow as pa
import pyarrow.parquet as pq

from app.exports.recipe import Columns, ColumnType, Layout, Row
from app.exports.streaming import Sink

_ROWS_PER_GROUP: Final = 4096
_CHARACTERS_PER_GROUP: Final = 8 * 1024 * 1024
_MESSAGE: Final = pa.struct([("role", pa.string()), ("content", pa.string())])
_SPEAKER: Final = pa.struct([("from", pa.string()), ("value", pa.string())])
_TYPES: Final = {
    ColumnType.TEXT: pa.string(),
    ColumnType.NUMBER: pa.float64(),
    ColumnType.COUNT: pa.int64(),
    ColumnType.FLAG: pa.bool_(),
    ColumnType.TEXTS: pa.list_(pa.string()),
    ColumnType.TEXT_LISTS: pa.list_(pa.list_(pa.string())),
    ColumnType.NUMBERS: pa.list_(pa.float64()),
    ColumnType.MESSAGE: _MESSAGE,
    ColumnType.MESSAGES: pa.list_(_MESSAGE),
    ColumnType.SPEAKER: _SPEAKER,
    ColumnType.SPEAKERS: pa.list_(_SPEAKER),
    ColumnType.SOURCE: pa.struct([("prompt_id", pa.string()), ("prompt_external_id", pa.string())]),
}


def parquet_schema(columns: Columns, layout: Layout) -> pa.Schema:
    """The schema of a file, which does not depend on its rows."""
    turns = pa.string() if layout is Layout.STANDARD else pa.list_(_MESSAGE)
    types = {**_TYPES, ColumnType.TURNS: turns}
    return pa.schema([(name, types[kind]) for name, kind in columns.items()])


class ParquetRowGroups:
    """Writes rows as Parquet; a piece is ready when a row group is full.

    The size of a row group depends on the rows alone, so the same rows give the same bytes.
    """

    media_type: Final = "application/vnd.apache.parquet"

    def __init__(self, columns: Columns, layout: Layout) -> None:
        self._schema = parquet_schema(columns, layout)
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
        self._writer.write_table(pa.Table.from_pylist(self._rows, schema=self._schema))
        self._rows.clear()
        self._characters = 0


def _characters(value: object) -> int:
    if isinstance(value, str):
        return len(value)
    if isinstance(value, list):
        return sum(map(_characters, value))
    if isinstance(value, dict):
        return sum(map(_characters, value.values()))
    return 0
