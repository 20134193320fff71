"""The SQL that writes prompts, many at a time."""

from collections.abc import Iterator, Mapping, Sequence
from itertools import islice
from typing import Any, NamedTuple

import numpy as np
import orjson
from sqlalchemy import select, text, update
from sqlalchemy.ext.asyncio import AsyncSession

from app.errors import UnknownProject
from app.prompts.incoming import IncomingPrompt, Key
from app.prompts.schemas import NewResponse
from app.prompts.stored import EmbeddingSpace
from app.prompts.unit_vectors import Vectors
from app.storage.copying import copy_rows, copy_vectors, next_ids
from app.storage.tables import Project, ProjectIntake, Prompt


async def embedding_space(session: AsyncSession, project_id: int) -> EmbeddingSpace | None:
    """Where the project's embeddings come from; None where that is not settled yet.

    The project stays for as long as the transaction lasts.

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
    source, dimensions = project
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
                "rows": _json(
                    [
                        {
                            "id": number[each.key],
                            "external_id": each.external_id,
                            "content": each.content,
                            "fingerprint": each.fingerprint.hex(),
                            "metadata": each.metadata,
                            "pairs": pairs_among(len(each.responses)),
                        }
                        for each in by_key
                    ]
                ),
            },
        )
    )
    new = [(number[each.key], each) for each in prompts if number[each.key] in inserted]
    response_ids = await insert_responses(
        session,
        [
            NewRows(
                prompt_id,
                0,
                each.responses,
                None if each.vectors is None else each.vectors.responses,
            )
            for prompt_id, each in new
        ],
    )
    await _insert_prompt_vectors(session, project_id, new)
    return {
        prompt.key: (prompt_id, ids)
        for (prompt_id, prompt), ids in zip(new, response_ids, strict=True)
    }


_INSERT_PROMPTS = """
INSERT INTO prompts
    (id, project_id, status, external_id, content, fingerprint, metadata, pairs_total)
SELECT new.id, :project_id, :status, new.external_id, new.content,
    decode(new.fingerprint, 'hex'), new.metadata, new.pairs
FROM json_to_recordset(CAST(:rows AS json)) AS new (
    id bigint, external_id text, content jsonb, fingerprint text, metadata jsonb, pairs integer
)
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


class NewRows(NamedTuple):
    """Responses to add to a prompt, from a position on, and their vectors where they have any."""

    prompt_id: int
    first_position: int
    responses: Sequence[NewResponse]
    vectors: Vectors | None


async def insert_responses(session: AsyncSession, groups: Sequence[NewRows]) -> list[list[int]]:
    """Add responses to prompts; gives their numbers by prompt."""
    free = iter(await next_ids(session, "responses", sum(len(each.responses) for each in groups)))
    ids = [list(islice(free, len(each.responses))) for each in groups]
    if groups:
        await copy_rows(session, "responses", _RESPONSE_COLUMNS, _response_rows(groups, ids))
    given = [
        (numbers, each.vectors)
        for numbers, each in zip(ids, groups, strict=True)
        if each.vectors is not None
    ]
    if given:
        await copy_vectors(
            session,
            "response_embeddings",
            ("response_id", "vector"),
            np.concatenate([numbers for numbers, _ in given])[:, None],
            np.concatenate([vectors for _, vectors in given]),
        )
    return ids


def _response_rows(
    groups: Sequence[NewRows], ids: Sequence[Sequence[int]]
) -> Iterator[tuple[Any, ...]]:
    for group, numbers in zip(groups, ids, strict=True):
        for position, (number, each) in enumerate(
            zip(numbers, group.responses, strict=True), start=group.first_position
        ):
            yield (
                number,
                group.prompt_id,
                position,
                each.id,
                each.text,
                each.model,
                each.score,
                each.reference,
                _json(each.metadata),
            )


async def _insert_prompt_vectors(
    session: AsyncSession, project_id: int, prompts: Sequence[tuple[int, IncomingPrompt]]
) -> None:
    given = [
        (prompt_id, prompt.vectors.prompt)
        for prompt_id, prompt in prompts
        if prompt.vectors is not None
    ]
    if given:
        await copy_vectors(
            session,
            "prompt_embeddings",
            ("prompt_id", "project_id", "vector"),
            np.array([[prompt_id, project_id] for prompt_id, _ in given], dtype=np.int64),
            np.stack([vector for _, vector in given]),
        )


def pairs_among(responses: int) -> int:
    """How many pairs so many responses make."""
    return responses * (responses - 1) // 2


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
