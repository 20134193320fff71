"""Insert many rows at once: ids from a sequence, and COPY."""

from collections.abc import Iterable, Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray
from psycopg import AsyncConnection, sql
from sqlalchemy import text
from sqlalchemy.ext.asyncio import AsyncSession

Vectors = NDArray[np.float32]

_BINARY_HEADER = b"PGCOPY\n\xff\r\n\x00" + bytes(8)
_BINARY_END = b"\xff\xff"


async def next_ids(session: AsyncSession, table: str, count: int) -> list[int]:
    """``count`` new ids for rows of a table, in rising order."""
    if not count:
        return []
    numbers: list[int] | None = await session.scalar(
        text(
            "SELECT array_agg(nextval(pg_get_serial_sequence(:table, 'id')))"
            " FROM generate_series(1, CAST(:count AS integer))"
        ),
        {"table": table, "count": count},
    )
    return sorted(numbers or ())


async def copy_rows(
    session: AsyncSession, table: str, columns: Sequence[str], rows: Iterable[Sequence[Any]]
) -> None:
    """Insert rows, their values in the order of ``columns``."""
    connection = await _connection(session)
    async with connection.cursor() as cursor, cursor.copy(_copy(table, columns)) as copy:
        for row in rows:
            await copy.write_row(row)


async def copy_vectors(
    session: AsyncSession,
    table: str,
    columns: Sequence[str],
    numbers: NDArray[np.int64],
    vectors: Vectors,
) -> None:
    """Insert rows of numbers ``(n, columns - 1)`` and vectors ``(n, dimensions)``, as float16.

    All rows have the same length, so the whole message is one array.
    """
    connection = await _connection(session)
    statement = _copy(table, columns) + sql.SQL(" (FORMAT BINARY)")
    async with connection.cursor() as cursor, cursor.copy(statement) as copy:
        await copy.write(_BINARY_HEADER)
        await copy.write(_binary_rows(numbers, vectors))
        await copy.write(_BINARY_END)


def _binary_rows(numbers: NDArray[np.int64], vectors: Vectors) -> bytes:
    """Rows in COPY's binary format: the number of fields, then each field after its length."""
    dimensions = vectors.shape[1]
    layout = np.dtype(
        [
            ("fields", ">i2"),
            ("numbers", [("length", ">i4"), ("value", ">i8")], (numbers.shape[1],)),
            ("vector_length", ">i4"),
            ("vector", "<f2", (dimensions,)),
        ]
    )
    rows = np.empty(len(vectors), dtype=layout)
    rows["fields"] = numbers.shape[1] + 1
    rows["numbers"]["length"] = 8
    rows["numbers"]["value"] = numbers
    rows["vector_length"] = 2 * dimensions
    rows["vector"] = vectors
    return rows.tobytes()


def _copy(table: str, columns: Sequence[str]) -> sql.Composed:
    names = sql.SQL(", ").join(map(sql.Identifier, columns))
    return sql.SQL("COPY {} ({}) FROM STDIN").format(sql.Identifier(table), names)


async def _connection(session: AsyncSession) -> AsyncConnection[Any]:
    raw = await (await session.connection()).get_raw_connection()
    connection = raw.driver_connection
    assert isinstance(connection, AsyncConnection)
    return connection
