"""The SQL that writes prompts, many at a time."""

from collections.abc import Collection, Mapping, Sequence
from typing import Any

import numpy as np
import orjson
from sqlalchemy import BigInteger, select, text, update
from sqlalchemy.ext.asyncio import AsyncSession

from app.prompts.copying import copy_rows, copy_vectors, next_ids
from app.prompts.embedding_field import Vector
from app.prompts.incoming import IncomingPrompt, IncomingResponse, Key
from app.prompts.queries import among
from app.prompts.stored import EmbeddingSpace
from app.storage.tables import Project, ProjectIntake, Prompt


async def embedding_space(session: AsyncSession, project_id: int) -> EmbeddingSpace | None:
    """Where the project's embeddings come from; None where that is not settled yet."""
    source, dimensions = (
        await session.execute(
            select(Project.embedding_source, Project.embedding_dimensions).where(
                Project.id == project_id
            )
        )
    ).one()
    return None if source is None else EmbeddingSpace(source, dimensions)


async def settle_embedding_space(
    session: AsyncSession, project_id: int, space: EmbeddingSpace
) -> bool:
    """Settle it for good; False if somebody else has."""
    settled = await session.execute(
        update(Project)
        .where(Project.id == project_id, Project.embedding_source.is_(None))
        .values(embedding_source=space.source, embedding_dimensions=space.dimensions)
        .execution_options(synchronize_session=False)
        .returning(Project.id)
    )
    return settled.first() is not None


async def insert_prompts(
    session: AsyncSession, project_id: int, prompts: Sequence[IncomingPrompt]
) -> dict[Key, tuple[int, list[int]]]:
    """Add prompts; gives the numbers of those that are new, and of their responses.

    One whose key another transaction has just taken is left out. The rows go in by key, so that
    two transactions that add the same prompts wait for each other and do not deadlock.
    """
    by_key = sorted(prompts, key=lambda prompt: prompt.key)
    numbered = zip(await next_ids(session, "prompts", len(prompts)), prompts, strict=True)
    number = {prompt.key: prompt_id for prompt_id, prompt in numbered}
    ready = "ready" if prompts[0].dimensions is not None else "pending"
    inserted = set(
        await session.scalars(
            text(_INSERT_PROMPTS),
            {
                "project_id": project_id,
                "status": ready,
                "ids": [number[each.key] for each in by_key],
                "external_ids": [each.external_id for each in by_key],
                "contents": [_json(each.content) for each in by_key],
                "fingerprints": [each.fingerprint for each in by_key],
                "metadatas": [_json(each.metadata) for each in by_key],
                "pairs": [pairs_among(len(each.responses)) for each in by_key],
            },
        )
    )
    new = [(number[each.key], each) for each in prompts if number[each.key] in inserted]
    response_ids = await insert_responses(
        session, [(prompt_id, 0, prompt.responses) for prompt_id, prompt in new]
    )
    await _insert_prompt_vectors(session, project_id, new)
    return {
        prompt.key: (prompt_id, ids)
        for (prompt_id, prompt), ids in zip(new, response_ids, strict=True)
    }


_INSERT_PROMPTS = """
INSERT INTO prompts
    (id, project_id, status, external_id, content, fingerprint, metadata, pairs_total)
SELECT new.id, :project_id, :status, new.external_id, CAST(new.content AS jsonb),
    new.fingerprint, CAST(new.metadata AS jsonb), new.pairs_total
FROM unnest(
    CAST(:ids AS bigint[]), CAST(:external_ids AS text[]), CAST(:contents AS text[]),
    CAST(:fingerprints AS bytea[]), CAST(:metadatas AS text[]), CAST(:pairs AS integer[])
) AS new (id, external_id, content, fingerprint, metadata, pairs_total)
ON CONFLICT DO NOTHING
RETURNING id
"""

_RESPONSE_COLUMNS = (
    "id",
    "prompt_id",
    "position",
    "external_id",
    "text",
    "model",
    "score",
    "reference",
    "metadata",
)


async def insert_responses(
    session: AsyncSession, groups: Sequence[tuple[int, int, Sequence[IncomingResponse]]]
) -> list[list[int]]:
    """Add responses: for each group the prompt's number, the first position and the responses."""
    free = iter(await next_ids(session, "responses", sum(len(group[2]) for group in groups)))
    ids = [[next(free) for _ in responses] for _, _, responses in groups]
    numbered = [
        (response_id, prompt_id, first + offset, response)
        for (prompt_id, first, responses), group_ids in zip(groups, ids, strict=True)
        for offset, (response_id, response) in enumerate(zip(group_ids, responses, strict=True))
    ]
    if numbered:
        rows = (
            (
                response_id,
                prompt_id,
                position,
                each.external_id,
                each.text,
                each.model,
                each.score,
                each.reference,
                _json(each.metadata),
            )
            for response_id, prompt_id, position, each in numbered
        )
        await copy_rows(session, "responses", _RESPONSE_COLUMNS, rows)
    given = [(row[0], row[3].vector) for row in numbered if row[3].vector is not None]
    await copy_vectors(
        session,
        "response_embeddings",
        ("response_id", "vector"),
        np.array([[response_id] for response_id, _ in given], dtype=np.int64),
        [vector for _, vector in given],
    )
    return ids


async def _insert_prompt_vectors(
    session: AsyncSession, project_id: int, prompts: Sequence[tuple[int, IncomingPrompt]]
) -> None:
    given: list[tuple[int, Vector]] = [
        (prompt_id, prompt.vector) for prompt_id, prompt in prompts if prompt.vector is not None
    ]
    await copy_vectors(
        session,
        "prompt_embeddings",
        ("prompt_id", "project_id", "vector"),
        np.array([[prompt_id, project_id] for prompt_id, _ in given], dtype=np.int64),
        [vector for _, vector in given],
    )


def pairs_among(responses: int) -> int:
    """How many pairs so many responses make."""
    return responses * (responses - 1) // 2


async def lock_prompts(session: AsyncSession, prompt_ids: Collection[int]) -> None:
    """Lock rows that are about to change, by number: no two of these deadlock."""
    await session.execute(
        select(Prompt.id)
        .where(among(Prompt.id, prompt_ids, BigInteger))
        .order_by(Prompt.id)
        .with_for_update(key_share=True)
    )


async def set_prompt_metadata(
    session: AsyncSession, metadata: Mapping[int, dict[str, Any]]
) -> None:
    """Replace the metadata of prompts, by number."""
    await session.execute(
        text(
            "UPDATE prompts SET metadata = CAST(sent.metadata AS jsonb) FROM unnest("
            " CAST(:ids AS bigint[]), CAST(:metadatas AS text[])) AS sent (id, metadata)"
            " WHERE prompts.id = sent.id"
        ),
        {"ids": list(metadata), "metadatas": [_json(each) for each in metadata.values()]},
    )


async def set_response_details(
    session: AsyncSession, details: Mapping[int, tuple[float | None, dict[str, Any] | None]]
) -> None:
    """Replace the scores and metadata of responses, by number, where they are not None."""
    await session.execute(
        text(
            "UPDATE responses SET score = coalesce(sent.score, responses.score),"
            " metadata = coalesce(CAST(sent.metadata AS jsonb), responses.metadata) FROM unnest("
            " CAST(:ids AS bigint[]), CAST(:scores AS float8[]), CAST(:metadatas AS text[])"
            ") AS sent (id, score, metadata) WHERE responses.id = sent.id"
        ),
        {
            "ids": list(details),
            "scores": [score for score, _ in details.values()],
            "metadatas": [_json(metadata) for _, metadata in details.values()],
        },
    )


async def extend_prompt(
    session: AsyncSession, prompt_id: int, *, status: str, pairs_total: int
) -> None:
    """Note that a prompt has more responses now."""
    await session.execute(
        update(Prompt)
        .where(Prompt.id == prompt_id)
        .values(status=status, pairs_total=pairs_total)
        .execution_options(synchronize_session=False)
    )


async def count_intake(
    session: AsyncSession,
    project_id: int,
    *,
    prompts: int = 0,
    pending: int = 0,
    unplanned: int = 0,
) -> None:
    """Add to the project's counts of prompts. Its row is contended: the last statement of all."""
    await session.execute(
        update(ProjectIntake)
        .where(ProjectIntake.project_id == project_id)
        .values(
            prompts=ProjectIntake.prompts + prompts,
            pending=ProjectIntake.pending + pending,
            unplanned=ProjectIntake.unplanned + unplanned,
        )
        .execution_options(synchronize_session=False)
    )


def _json(value: Any) -> str | None:
    return None if value is None else orjson.dumps(value).decode()
