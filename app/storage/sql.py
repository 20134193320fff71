"""Small pieces of SQL that several rooms share."""

from collections.abc import Collection
from typing import Any

from sqlalchemy import BigInteger, ColumnElement, TextClause, any_, literal, select, text
from sqlalchemy.dialects.postgresql import ARRAY
from sqlalchemy.ext.asyncio import AsyncSession

from app.storage.tables import Prompt


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


async def lock_prompts(session: AsyncSession, prompt_ids: Collection[int]) -> None:
    """Lock prompts that are about to change, in the order of their ids, so that no two deadlock."""
    await session.execute(
        select(Prompt.id)
        .where(among(Prompt.id, prompt_ids, BigInteger))
        .order_by(Prompt.id)
        .with_for_update(key_share=True)
    )
