"""Which indexes PostgreSQL uses for a query."""

from typing import Any

from sqlalchemy import TextClause, text
from sqlalchemy.ext.asyncio import AsyncSession


async def indexes(session: AsyncSession, query: TextClause, parameters: dict[str, Any]) -> set[str]:
    """The indexes in the query's plan."""
    plan = await session.scalar(text(f"EXPLAIN (FORMAT JSON) {query.text}"), parameters)
    found = set()

    def walk(node: Any) -> None:
        if isinstance(node, dict):
            found.add(node.get("Index Name", ""))
            node = list(node.values())
        if isinstance(node, list):
            for each in node:
                walk(each)

    walk(plan)
    return found - {""}
