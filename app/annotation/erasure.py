"""Erase what annotators did with a prompt, for the prompts room."""

from sqlalchemy.ext.asyncio import AsyncSession

from app.annotation.queries import erasure as queries


async def erase_annotations(session: AsyncSession, project_id: int, prompt_id: int) -> None:
    """Release the prompt's held assignments and delete its labels.

    The ledger keeps its entries: what was spent stays spent. The project's row is locked.
    """
    await queries.erase_annotations(session, project_id, prompt_id)
