"""The SQL that finds prompts and responses by either of their ids."""

from collections.abc import Collection, Sequence

from sqlalchemy import BigInteger, Row, Text, select, union
from sqlalchemy.ext.asyncio import AsyncSession

from app.storage.sql import among
from app.storage.tables import Prompt, Response


async def projects_of(session: AsyncSession, numbers: Collection[int]) -> dict[int, int]:
    """The projects of the prompts of these numbers. Served by the primary key."""
    rows = await session.execute(
        select(Prompt.id, Prompt.project_id).where(among(Prompt.id, numbers, BigInteger))
    )
    return {row.id: row.project_id for row in rows}


async def responses_by_names(
    session: AsyncSession, project_id: int, external_ids: Collection[str], numbers: Collection[int]
) -> Sequence[Row[int, str | None, int, str | None]]:
    """The prompts of these ids, a row for each response.

    Each row has ``prompt_id``, ``prompt_external_id``, ``response_id`` and
    ``response_external_id``. Served by the unique index on a project's external ids, and by the
    primary key.
    """
    named = [
        select(
            Prompt.id.label("prompt_id"),
            Prompt.external_id.label("prompt_external_id"),
            Response.id.label("response_id"),
            Response.external_id.label("response_external_id"),
        )
        .join(Response, Response.prompt_id == Prompt.id)
        .where(Prompt.project_id == project_id, is_named)
        for is_named in (
            among(Prompt.external_id, external_ids, Text),
            among(Prompt.id, numbers, BigInteger),
        )
    ]
    return (await session.execute(union(*named))).all()
