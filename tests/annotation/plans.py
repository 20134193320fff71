"""How Postgres would run what the services ask of it."""

import copy
import re
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from decimal import Decimal
from typing import Any

import psycopg
from psycopg import sql
from sqlalchemy import event
from sqlalchemy.ext.asyncio import AsyncEngine

Node = dict[str, Any]
_PLACEHOLDER = re.compile(r"%\((\w+)\)s|%%")
_PLANS_UNTIL_GENERIC = 6  # Postgres plans five times for the values, and then may for any values
_TYPES = {int: "bigint", float: "double precision", Decimal: "numeric", bool: "boolean"}


@dataclass(frozen=True)
class Asked:
    """A statement as it went to the driver."""

    statement: str
    parameters: dict[str, Any]


@asynccontextmanager
async def recorded(engine: AsyncEngine) -> AsyncIterator[list[Asked]]:
    """The statements that go to the database meanwhile."""
    asked: list[Asked] = []

    def note(_conn: Any, _cursor: Any, statement: str, parameters: Any, *_: Any) -> None:
        # The same statement for many rows is planned as for one.
        one = parameters[0] if isinstance(parameters, list) else parameters
        asked.append(Asked(statement, copy.deepcopy(dict(one))))

    event.listen(engine.sync_engine, "before_cursor_execute", note)
    try:
        yield asked
    finally:
        event.remove(engine.sync_engine, "before_cursor_execute", note)


def plan_of(connection: psycopg.Connection[Any], asked: Asked) -> Node:
    """The plan that a connection which asks this again and again ends up with."""
    order: list[str] = []

    def number(found: re.Match[str]) -> str:
        name = found.group(1)
        if name is None:
            return "%"
        if name not in order:
            order.append(name)
        return f"${order.index(name) + 1}"

    statement = _PLACEHOLDER.sub(number, asked.statement)
    types = ", ".join(_type_of(asked.parameters[name]) for name in order)
    declared = f"asked ({types})" if order else "asked"
    connection.execute(f"PREPARE {declared} AS {statement}".encode())
    values = sql.SQL(", ").join(sql.Literal(asked.parameters[name]) for name in order)
    execute = sql.SQL("EXECUTE asked({})" if order else "EXECUTE asked").format(values)
    for _ in range(_PLANS_UNTIL_GENERIC):
        row = connection.execute(sql.SQL("EXPLAIN (FORMAT JSON) ") + execute).fetchone()
    connection.execute("DEALLOCATE asked")
    assert row is not None
    plan: Node = row[0][0]["Plan"]
    return plan


def _type_of(value: Any) -> str:
    # As psycopg declares them; strings are for Postgres to guess.
    if isinstance(value, list):
        kind = _type_of(value[0]) if value else "unknown"
        return "unknown" if kind == "unknown" else f"{kind}[]"
    return _TYPES.get(type(value), "unknown")


def measured(connection: psycopg.Connection[Any], asked: Asked) -> Node:
    """The plan of a question, with the rows that each of its nodes really gave."""
    explain = f"EXPLAIN (ANALYZE, FORMAT JSON, TIMING OFF) {asked.statement}"
    row = connection.execute(explain.encode(), asked.parameters).fetchone()
    assert row is not None
    plan: Node = row[0][0]["Plan"]
    return plan


def nodes(plan: Node) -> Iterator[Node]:
    """A plan and all that is below it."""
    yield plan
    for part in plan.get("Plans", ()):
        yield from nodes(part)


def rows_visited(plan: Node, table: str) -> int:
    """How many rows of a table were looked at, over all loops."""
    return sum(
        round((node["Actual Rows"] + node.get("Rows Removed by Filter", 0)) * node["Actual Loops"])
        for node in nodes(plan)
        if node.get("Relation Name") == table
    )
