"""SQL that finds prompts and what an intake must know, and locks them."""

from collections import defaultdict
from collections.abc import Collection, Sequence
from datetime import datetime
from typing import Any, NamedTuple

from sqlalchemy import ColumnElement, Text, func, or_, select, text
from sqlalchemy.dialects.postgresql import BYTEA
from sqlalchemy.ext.asyncio import AsyncSession
from sqlalchemy.types import BigInteger

from app.errors import UnknownProject
from app.prompts.incoming import Key
from app.prompts.matching import EmbeddingSpace, StoredPrompt, StoredResponse
from app.storage.predicates import FAILED_PROMPT
from app.storage.sql import among
from app.storage.tables import Project, Prompt, Response


async def find_stored(
    session: AsyncSession, project_id: int, keys: Collection[Key]
) -> dict[Key, StoredPrompt]:
    """The project's prompts that have one of these keys.

    Served by the unique index on external ids and the one on fingerprints.
    """
    external_ids = [value.decode() for kind, value in keys if kind]
    fingerprints = [value for kind, value in keys if not kind]
    known = []
    if external_ids:
        known.append(among(Prompt.external_id, external_ids, Text))
    if fingerprints:
        unnamed = Prompt.external_id.is_(None)
        known.append(unnamed & among(Prompt.fingerprint, fingerprints, BYTEA))
    found = await _stored(session, (Prompt.project_id == project_id) & or_(*known))
    return {prompt.key: prompt for prompt in found}


async def lock_stored(session: AsyncSession, prompt_id: int) -> StoredPrompt | None:
    """Lock a prompt against changes, and then read it with its responses."""
    locked = await session.scalar(
        select(Prompt.id).where(Prompt.id == prompt_id).with_for_update(key_share=True)
    )
    if locked is None:
        return None
    (prompt,) = await _stored(session, Prompt.id == prompt_id)
    return prompt


async def _stored(session: AsyncSession, which: ColumnElement[bool]) -> list[StoredPrompt]:
    prompts = (
        await session.execute(
            select(
                Prompt.id,
                Prompt.external_id,
                Prompt.content,
                Prompt.tools,
                Prompt.fingerprint,
                Prompt.prompt_metadata,
                Prompt.status,
            ).where(which)
        )
    ).all()
    if not prompts:
        return []
    rows = await session.execute(
        select(
            Response.prompt_id,
            Response.id,
            Response.external_id,
            Response.text,
            Response.tool_calls,
            Response.score,
            Response.response_metadata,
        )
        .where(among(Response.prompt_id, [row.id for row in prompts], BigInteger))
        .order_by(Response.prompt_id, Response.position)
    )
    responses: dict[int, list[StoredResponse]] = defaultdict(list)
    for row in rows:
        responses[row.prompt_id].append(
            StoredResponse(
                id=row.id,
                external_id=row.external_id,
                text=row.text,
                tool_calls=row.tool_calls,
                score=row.score,
                metadata=row.response_metadata,
            )
        )
    return [
        StoredPrompt(
            id=row.id,
            external_id=row.external_id,
            content=row.content,
            tools=row.tools,
            fingerprint=row.fingerprint,
            metadata=row.prompt_metadata,
            status=row.status,
            responses=responses[row.id],
        )
        for row in prompts
    ]


class ListedPrompt(NamedTuple):
    """A prompt in a list."""

    id: int
    external_id: str | None
    content: Any
    tools: Any
    status: str
    failure: str | None
    group_id: int | None
    created_at: datetime
    responses: int


async def list_prompts(
    session: AsyncSession, project_id: int, *, status: str | None, after_id: int, limit: int
) -> list[ListedPrompt]:
    """A page of a project's prompts by id.

    Served by ``ix_prompts_listing``; for failed ones by ``ix_prompts_failed``.
    """
    responses = (
        select(func.count()).where(Response.prompt_id == Prompt.id).correlate(Prompt)
    ).scalar_subquery()
    wanted = (
        select(
            Prompt.id,
            Prompt.external_id,
            Prompt.content,
            Prompt.tools,
            Prompt.status,
            Prompt.failure,
            Prompt.group_id,
            Prompt.created_at,
            responses.label("responses"),
        )
        .where(Prompt.project_id == project_id, Prompt.id > after_id)
        .order_by(Prompt.id)
        .limit(limit)
    )
    if status == "failed":
        wanted = wanted.where(text(FAILED_PROMPT))
    elif status is not None:
        wanted = wanted.where(Prompt.status == status)
    return [ListedPrompt(**row._asdict()) for row in await session.execute(wanted)]


async def responses_of(session: AsyncSession, prompt_id: int) -> Sequence[Response]:
    """A prompt's responses by position."""
    rows = await session.scalars(
        select(Response).where(Response.prompt_id == prompt_id).order_by(Response.position)
    )
    return rows.all()


async def contents(
    session: AsyncSession, project_id: int, prompt_ids: Collection[int]
) -> dict[int, tuple[Any, Any]]:
    """Contents and tools, by id, of those of these prompts that are still stored."""
    rows = await session.execute(
        select(Prompt.id, Prompt.content, Prompt.tools).where(
            Prompt.project_id == project_id, among(Prompt.id, prompt_ids, BigInteger)
        )
    )
    return {row.id: (row.content, row.tools) for row in rows}


async def has_reference(session: AsyncSession, prompt_id: int) -> bool:
    """Whether one of the prompt's responses is its reference."""
    found = await session.scalar(
        select(Response.id).where(Response.prompt_id == prompt_id, Response.reference)
    )
    return found is not None


async def embedding_space(session: AsyncSession, project_id: int) -> EmbeddingSpace | None:
    """Where the project's embeddings come from; None where that is not decided yet.

    The project cannot be deleted until the transaction ends.

    Raises:
        UnknownProject: it has been deleted.
    """
    found = await session.execute(
        select(Project.embedding_source, Project.embedding_dimensions)
        .where(Project.id == project_id)
        .with_for_update(read=True, key_share=True)
    )
    project = found.one_or_none()
    if project is None:
        raise UnknownProject("the project has been deleted")
    if project.embedding_source is None:
        return None
    return EmbeddingSpace(project.embedding_source, project.embedding_dimensions)


async def wait_for_prompt(session: AsyncSession, prompt_id: int) -> None:
    """Wait until no embedder holds the prompt's row, as one does while it embeds a batch.

    The lock is released again at once: the project's row must be locked first, and while it is,
    no claim of the project should have to wait for an embedder.
    """
    async with session.begin_nested() as waiting:
        await session.execute(select(Prompt.id).where(Prompt.id == prompt_id).with_for_update())
        await waiting.rollback()


async def lock_prompt(session: AsyncSession, prompt_id: int) -> Prompt | None:
    """Lock a prompt for deletion; None if it has been deleted."""
    return await session.scalar(
        select(Prompt)
        .where(Prompt.id == prompt_id)
        .with_for_update()
        .execution_options(populate_existing=True)
    )
