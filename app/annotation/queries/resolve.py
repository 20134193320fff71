"""SQL that finds prompts and responses by their ids."""

from collections.abc import Collection, Sequence

from sqlalchemy import BigInteger, Row, Text, select, union
from sqlalchemy.ext.asyncio import AsyncSession

from app.storage.sql import among
from app.storage.tables import Prompt, Response


async def responses_by_names(
    session: AsyncSession, project_id: int, external_ids: Collection[str], numbers: Collection[int]
) -> Sequence[Row[int, str | None, int, str | None]]:
    """Prompt's number and caller's id, response's number and caller's id.

    Served by the unique index on a project's external ids, and by the primary key.
    """
    named = [
        select(Prompt.id, Prompt.external_id, Response.id, Response.external_id)
        .join(Response, Response.prompt_id == Prompt.id)
        .where(Prompt.project_id == project_id, which)
        for which in (
            among(Prompt.external_id, external_ids, Text),
            among(Prompt.id, numbers, BigInteger),
        )
    ]
    return (await session.execute(union(*named))).all()
