"""SQL that deletes a prompt."""

from sqlalchemy import delete, select
from sqlalchemy.dialects.postgresql import insert
from sqlalchemy.ext.asyncio import AsyncSession

from app.storage.tables import ErasedPrompt, Prompt


async def wait_for_prompt(session: AsyncSession, prompt_id: int) -> None:
    """Wait until nobody holds the prompt's row: an embedder does, for as long as a batch takes.

    The lock is given up again, because the project's comes first. Nobody can wait for this one
    while the project, and all its claims, wait for the embedder.
    """
    async with session.begin_nested() as waiting:
        await session.execute(select(Prompt.id).where(Prompt.id == prompt_id).with_for_update())
        await waiting.rollback()


async def lock_prompt(session: AsyncSession, prompt_id: int) -> Prompt | None:
    """The prompt's row, locked for deletion."""
    return await session.scalar(
        select(Prompt)
        .where(Prompt.id == prompt_id)
        .with_for_update()
        .execution_options(populate_existing=True)
    )


async def erase_prompt(session: AsyncSession, project_id: int, prompt_id: int) -> None:
    """Delete the prompt with all that hangs on it; its number alone stays, for the index."""
    await session.execute(delete(Prompt).where(Prompt.id == prompt_id))
    await session.execute(insert(ErasedPrompt).values(prompt_id=prompt_id, project_id=project_id))
