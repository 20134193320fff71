"""SQL that finds prompts and what an intake must know, and locks them."""

from collections import defaultdict
from collections.abc import Collection, Sequence
from datetime import datetime
from typing import Any, NamedTuple

import orjson
from sqlalchemy import ColumnElement, Text, exists, func, or_, select, text
from sqlalchemy.dialects.postgresql import BYTEA
from sqlalchemy.ext.asyncio import AsyncSession
from sqlalchemy.types import BigInteger

from app.errors import UnknownProject
from app.prompts.incoming import Key
from app.prompts.matching import EmbeddingSpace, StoredPrompt, StoredResponse
from app.prompts.schemas import Content
from app.storage.predicates import CONTENT_HASH, FAILED_PROMPT, UNNAMED_PROMPT
from app.storage.sql import among, lock_prompts, statement
from app.storage.tables import Project, Prompt, QuestionEmbedding, Response


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


# The oldest of each content. Served by ix_prompts_content alone, whatever PostgreSQL believes about
# a project without statistics: an index that begins with the project, or one of ids, would
# read all of its prompts for each content. So the project is an expression, and OFFSET 0 is there.
FIND_BY_CONTENT = statement(
    """
    SELECT sent.place, oldest.id
    FROM (
        SELECT place, CAST(content AS jsonb) AS content, CAST(tools AS jsonb) AS tools
        FROM unnest(CAST(:contents AS text[]), CAST(:tools AS text[]))
            WITH ORDINALITY AS sent (content, tools, place)
    ) AS sent
    CROSS JOIN LATERAL (
        SELECT min(id) AS id
        FROM (
            SELECT id FROM prompts
            WHERE project_id + 0 = :project_id AND {unnamed}
              AND {hash} = md5(sent.content::text) AND prompts.content = sent.content
              AND CAST(prompts.tools AS jsonb) IS NOT DISTINCT FROM sent.tools
            OFFSET 0
        ) AS same
    ) AS oldest
    WHERE oldest.id IS NOT NULL
    """,
    unnamed=UNNAMED_PROMPT,
    hash=CONTENT_HASH.replace("content", "prompts.content"),
)


async def find_mergeable(
    session: AsyncSession,
    project_id: int,
    external_ids: Sequence[str],
    contents: Sequence[tuple[Content, Any]],
) -> tuple[dict[str, StoredPrompt], dict[int, StoredPrompt]]:
    """The stored prompts that rows of an import belong to.

    Returns:
        Those with one of these ids, by the id; and of those without an id the oldest of each of
        these contents with their tools, by the content's place.
    """
    by_content: dict[int, int] = {}
    if contents:
        parameters = {
            "project_id": project_id,
            "contents": [orjson.dumps(content).decode() for content, _ in contents],
            "tools": [orjson.dumps(tools).decode() if tools else None for _, tools in contents],
        }
        # A plan that was made for an empty table would be kept while the import fills it.
        await session.execute(text("SET LOCAL enable_seqscan = off"))
        rows = await session.execute(FIND_BY_CONTENT, parameters)
        by_content = {row.id: row.place - 1 for row in rows}
        await session.execute(text("SET LOCAL enable_seqscan TO DEFAULT"))
    named = among(Prompt.external_id, external_ids, Text) & (Prompt.project_id == project_id)
    found = await _stored(session, named) if external_ids else []
    unnamed = among(Prompt.id, by_content, BigInteger)
    others = await _stored(session, unnamed) if by_content else []
    return (
        {each.external_id: each for each in found if each.external_id is not None},
        {by_content[each.id]: each for each in others},
    )


async def hold_stored(
    session: AsyncSession, prompt_ids: Collection[int]
) -> dict[int, StoredPrompt]:
    """Keep prompts from being erased until the transaction ends, and read them; by number.

    Neither an embedder nor the planner keeps others from holding a prompt in this way.
    """
    held = await session.scalars(
        select(Prompt.id)
        .where(among(Prompt.id, prompt_ids, BigInteger))
        .order_by(Prompt.id)
        .with_for_update(read=True, key_share=True)
    )
    ids = held.all()
    found = await _stored(session, among(Prompt.id, ids, BigInteger)) if ids else []
    return {prompt.id: prompt for prompt in found}


async def wait_for_prompts(session: AsyncSession, prompt_ids: Collection[int]) -> None:
    """Wait until no embedder holds these rows, as one does while it embeds a batch.

    The locks are released again at once: the project's row must be locked first, and while it is,
    no claim of the project should have to wait for an embedder.
    """
    async with session.begin_nested() as waiting:
        await lock_prompts(session, prompt_ids)
        await waiting.rollback()


class PromptState(NamedTuple):
    """How far a prompt has come."""

    status: str
    group_id: int | None


async def read_states(session: AsyncSession, prompt_ids: Collection[int]) -> dict[int, PromptState]:
    """The states of prompts that this transaction has locked."""
    rows = await session.execute(
        select(Prompt.id, Prompt.status, Prompt.group_id).where(
            among(Prompt.id, prompt_ids, BigInteger)
        )
    )
    return {row.id: PromptState(row.status, row.group_id) for row in rows}


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
            Response.reference,
            Response.round,
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
                reference=row.reference,
                round=row.round,
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


async def has_grouping_vector(session: AsyncSession, prompt: Prompt, question_version: int) -> bool:
    """Whether an embedded prompt has the vector it is grouped by. By primary keys."""
    own = exists().where(Project.id == prompt.project_id, Project.embedding_source == "caller")
    of_question = exists().where(
        QuestionEmbedding.prompt_id == prompt.id, QuestionEmbedding.version == question_version
    )
    return bool(await session.scalar(select(own | of_question)))


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
