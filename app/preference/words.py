"""How many words responses have: what reading them costs, and a feature of the model."""

from collections.abc import Collection

from sqlalchemy import BigInteger, select
from sqlalchemy.ext.asyncio import AsyncSession

from app.storage.sql import among
from app.storage.tables import Response

_TEXTS_AT_A_TIME = 1024


async def count_words(session: AsyncSession, response_ids: Collection[int]) -> dict[int, int]:
    """How many words each response has. Served by the primary key.

    The texts are split here: measured at 50 µs for one of 250 words, its way included, where
    ``regexp_count`` in the database takes 270.
    """
    words: dict[int, int] = {}
    ids = list(response_ids)
    for start in range(0, len(ids), _TEXTS_AT_A_TIME):
        part = ids[start : start + _TEXTS_AT_A_TIME]
        rows = await session.execute(
            select(Response.id, Response.text).where(among(Response.id, part, BigInteger))
        )
        words |= {row.id: len(row.text.split()) for row in rows}
    return words
