"""Small pieces of SQL that several rooms share."""

from collections.abc import Collection
from typing import Any, TypeVar

from sqlalchemy import ColumnElement, Row, TextClause, any_, literal, text
from sqlalchemy.dialects.postgresql import ARRAY
from sqlalchemy.ext.asyncio import AsyncSession

_Record = TypeVar("_Record")


def among(column: Any, values: Collection[Any], kind: Any) -> ColumnElement[bool]:
    """``column = ANY(values)``: one parameter, however many values."""
    equal: ColumnElement[bool] = column == any_(literal(list(values), ARRAY(kind)))
    return equal


def fill(template: str, **fragments: str) -> str:
    """Put constant pieces of SQL into a constant statement, at ``{name}``.

    For constants of this project only: values are always bound parameters.
    """
    return template.format(**fragments)


def statement(template: str, **fragments: str) -> TextClause:
    """``fill``, as a statement to execute."""
    return text(fill(template, **fragments))


def read_as(kind: type[_Record], row: Row[*tuple[Any, ...]]) -> _Record:
    """The row as a dataclass: each field has the value of the column of its name.

    Columns that are no field are left out.
    """
    columns = row._mapping
    fields: Collection[str] = kind.__dataclass_fields__  # type: ignore[attr-defined]  # every dataclass has it
    return kind(**{name: columns[name] for name in fields})


# In the order of their ids, so that no two transactions deadlock. Served by the primary key.
_LOCK_PROMPTS = text(
    "SELECT id FROM prompts WHERE id = ANY(CAST(:ids AS bigint[])) ORDER BY id FOR NO KEY UPDATE"
)


async def lock_prompts(session: AsyncSession, prompt_ids: Collection[int]) -> None:
    """Lock prompts that are about to change."""
    await session.execute(_LOCK_PROMPTS, {"ids": list(prompt_ids)})
