"""SQL of the labelled prompts with tools, tool calls or the like."""

from collections.abc import AsyncGenerator
from typing import Any, Final

from sqlalchemy import Select, exists, select
from sqlalchemy.ext.asyncio import AsyncSession

from app.exports.queries.pairs import Source
from app.storage.tables import Label, Prompt

_GROUPS_PER_FETCH: Final = 10_000


async def has_any(session: AsyncSession, source: Source) -> bool:
    """Whether there is such a prompt."""
    return bool(await session.scalar(select(select_groups(source).exists())))


async def has_tools(session: AsyncSession, source: Source) -> bool:
    """Whether one of them has tools."""
    found = select_groups(source).where(Prompt.tools.is_not(None)).exists()
    return bool(await session.scalar(select(found)))


async def stream_groups(session: AsyncSession, source: Source) -> AsyncGenerator[int, None]:
    """The group of each of them."""
    result = await session.stream_scalars(
        select_groups(source), execution_options={"yield_per": _GROUPS_PER_FETCH}
    )
    async for groups in result.partitions():
        for group in groups:
            yield group


def select_groups(source: Source) -> Select[Any]:
    """The group of each of them. Served by ``ix_prompts_with_tools`` and ``ix_labels_prompt``."""
    labelled = exists().where(
        Label.prompt_id == Prompt.id, Label.status.in_(source.statuses), Label.choice != "skip"
    )
    return select(Prompt.group_id).where(
        Prompt.project_id == source.project_id,
        Prompt.with_tools,
        Prompt.group_id.is_not(None),
        labelled,
    )
