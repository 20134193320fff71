import io
from collections.abc import Callable

import pyarrow.parquet as pq
import pytest

from app.exports.parquet import ParquetRowGroups, parquet_schema
from app.exports.recipe import Layout, Row
from tests.exports.files import EVERY_KIND, conversational_row, standard_row

LAYOUTS = pytest.mark.parametrize(
    ("layout", "make_row"),
    [(Layout.STANDARD, standard_row), (Layout.CONVERSATIONAL, conversational_row)],
)


def _file(batches: list[list[Row]], layout: Layout) -> bytes:
    encoder = ParquetRowGroups(EVERY_KIND, layout)
    return b"".join([*map(encoder.encode, batches), encoder.finish()])


@LAYOUTS
def test_rows_come_back_in_the_schema_of_the_layout(
    layout: Layout, make_row: Callable[[int], Row]
) -> None:
    rows = [make_row(number) for number in range(10)]

    table = pq.read_table(io.BytesIO(_file([rows[:3], rows[3:]], layout)))

    assert rows == table.to_pylist()
    assert parquet_schema(EVERY_KIND, layout).equals(table.schema)


@LAYOUTS
def test_a_file_without_rows_has_its_columns(
    layout: Layout, make_row: Callable[[int], Row]
) -> None:
    table = pq.read_table(io.BytesIO(_file([], layout)))

    assert parquet_schema(EVERY_KIND, layout).equals(table.schema)
    assert table.num_rows == 0


def test_the_bytes_do_not_depend_on_how_the_rows_came() -> None:
    rows = [standard_row(number) for number in range(5000)]

    whole = _file([rows], Layout.STANDARD)

    assert whole == _file([rows[:1], rows[1:4500], rows[4500:]], Layout.STANDARD)


def test_bytes_leave_as_soon_as_a_row_group_is_full() -> None:
    encoder = ParquetRowGroups(EVERY_KIND, Layout.STANDARD)
    magic = encoder.encode([])
    rows = [standard_row(number) for number in range(4096)]

    assert magic == b"PAR1"
    assert encoder.encode(rows[:-1]) == b""
    assert len(encoder.encode(rows[-1:])) > 1000


def test_long_texts_fill_a_row_group_early() -> None:
    long_rows = [standard_row(number) | {"chosen": "x" * 100_000} for number in range(200)]

    groups = pq.ParquetFile(io.BytesIO(_file([long_rows], Layout.STANDARD))).metadata

    assert groups.num_row_groups == 3
