"""SQL that writes prompts, many at a time, and erases one."""

from collections.abc import Iterator, Mapping, Sequence
from itertools import islice
from typing import Any, NamedTuple

import numpy as np
import orjson
from sqlalchemy import delete, func, text, update
from sqlalchemy.dialects.postgresql import insert
from sqlalchemy.ext.asyncio import AsyncSession

from app.prompts.embeddings import Vectors
from app.prompts.incoming import IncomingPrompt, Key
from app.prompts.matching import EmbeddingSpace
from app.prompts.schemas import NewResponse
from app.selection.pair_grid import pair_count
from app.storage.copying import copy_rows, copy_vectors, next_ids
from app.storage.tables import ErasedPrompt, Project, ProjectIntake, Prompt


async def decide_embedding_space(
    session: AsyncSession, project_id: int, space: EmbeddingSpace
) -> bool:
    """Decide for good where the project's embeddings come from; False if it is decided already."""
    settled = await session.execute(
        update(Project)
        .where(Project.id == project_id, Project.embedding_source.is_(None))
        .values(embedding_source=space.source, embedding_dimensions=space.dimensions)
        .execution_options(synchronize_session=False)
        .returning(Project.id)
    )
    return settled.first() is not None


async def insert_prompts(
    session: AsyncSession,
    project_id: int,
    prompts: Sequence[IncomingPrompt],
    import_id: int | None = None,
) -> dict[Key, tuple[int, list[int]]]:
    """Add prompts; gives the ids of those that are new, and of their responses.

    ``import_id`` is the running import that sends them, if one does.

    A prompt whose key another transaction has just inserted is left out. Rows are inserted in the
    order of their keys, so that two transactions with the same prompts do not deadlock.
    """
    by_key = sorted(prompts, key=lambda prompt: prompt.key)
    ids = await next_ids(session, "prompts", len(prompts))
    id_of = {prompt.key: prompt_id for prompt_id, prompt in zip(ids, prompts, strict=True)}
    status = "ready" if prompts[0].dimensions is not None else "pending"
    inserted = set(
        await session.scalars(
            text(_INSERT_PROMPTS),
            {
                "project_id": project_id,
                "status": status,
                "import_id": import_id,
                "rows": _json(
                    [
                        {
                            "id": id_of[each.key],
                            "external_id": each.external_id,
                            "content": each.content,
                            "tools": each.tools,
                            "with_tools": each.with_tools,
                            "fingerprint": each.fingerprint.hex(),
                            "metadata": each.metadata,
                            "pairs": pair_count(len(each.responses)),
                            "latest_round": max(its.round for its in each.responses),
                        }
                        for each in by_key
                    ]
                ),
            },
        )
    )
    new = [(id_of[each.key], each) for each in prompts if id_of[each.key] in inserted]
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
        prompt.key: (prompt_id, its_response_ids)
        for (prompt_id, prompt), its_response_ids in zip(new, response_ids, strict=True)
    }


_INSERT_PROMPTS = """
INSERT INTO prompts
    (id, project_id, status, external_id, content, tools, with_tools, fingerprint, metadata,
        pairs_total, latest_round, import_id)
SELECT new.id, :project_id, :status, new.external_id, new.content, new.tools, new.with_tools,
    decode(new.fingerprint, 'hex'), new.metadata, new.pairs, new.latest_round,
    CAST(:import_id AS bigint)
FROM json_to_recordset(CAST(:rows AS json)) AS new (
    id bigint, external_id text, content jsonb, tools json, with_tools boolean, fingerprint text,
    metadata jsonb, pairs integer, latest_round smallint
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
    "tool_calls",
    "model",
    "score",
    "reference",
    "round",
    "metadata",
)


class NewRows(NamedTuple):
    """Responses to add to a prompt from a position on, and their vectors if they have any."""

    prompt_id: int
    first_position: int
    responses: Sequence[NewResponse]
    vectors: Vectors | None


async def insert_responses(session: AsyncSession, groups: Sequence[NewRows]) -> list[list[int]]:
    """Add responses to prompts; gives their ids, a list for each group."""
    free = iter(await next_ids(session, "responses", sum(len(each.responses) for each in groups)))
    ids = [list(islice(free, len(each.responses))) for each in groups]
    if groups:
        await copy_rows(session, "responses", _RESPONSE_COLUMNS, _response_rows(groups, ids))
    given = [
        (group_ids, each.vectors)
        for group_ids, each in zip(ids, groups, strict=True)
        if each.vectors is not None
    ]
    if given:
        await copy_vectors(
            session,
            "response_embeddings",
            ("response_id", "vector"),
            np.concatenate([group_ids for group_ids, _ in given])[:, None],
            np.concatenate([vectors for _, vectors in given]),
        )
    return ids


async def mark_with_tools(session: AsyncSession, prompt_ids: Sequence[int]) -> None:
    """Mark stored prompts that have got responses with tool calls. The caller has locked them."""
    if prompt_ids:
        await session.execute(
            update(Prompt)
            .where(Prompt.id.in_(prompt_ids), ~Prompt.with_tools)
            .values(with_tools=True)
            .execution_options(synchronize_session=False)
        )


def _response_rows(
    groups: Sequence[NewRows], ids: Sequence[Sequence[int]]
) -> Iterator[tuple[Any, ...]]:
    for group, group_ids in zip(groups, ids, strict=True):
        for position, (response_id, each) in enumerate(
            zip(group_ids, group.responses, strict=True), start=group.first_position
        ):
            yield (
                response_id,
                group.prompt_id,
                position,
                each.id,
                each.text,
                _json(each.tool_calls),
                each.model,
                each.score,
                each.reference,
                each.round,
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


async def set_prompt_metadata(
    session: AsyncSession, metadata: Mapping[int, dict[str, Any]]
) -> None:
    """Replace the metadata of prompts, by id."""
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
    """Replace the scores and metadata of responses, by id; None leaves a value as it is."""
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
    session: AsyncSession, prompt_id: int, *, status: str, pairs_total: int, latest_round: int
) -> None:
    """Update a prompt that has got more responses. If it had failed, it is tried again."""
    await session.execute(
        update(Prompt)
        .where(Prompt.id == prompt_id)
        .values(
            status=status,
            failure=None,
            pairs_total=pairs_total,
            latest_round=func.greatest(Prompt.latest_round, latest_round),
        )
        .execution_options(synchronize_session=False)
    )


_TURN = "hashtextextended('responses of project ' || CAST(:id AS bigint), 0)"
_TAKE_TURN = text(f"SELECT pg_advisory_xact_lock({_TURN})")
_SHARE_TURN = text(f"SELECT pg_advisory_xact_lock_shared({_TURN})")


async def take_turn_to_add(session: AsyncSession, project_id: int) -> None:
    """Become the one transaction that adds responses to stored prompts of the project.

    Call it before any row is locked.
    """
    await session.execute(_TAKE_TURN, {"id": project_id})


async def share_turn_to_create(session: AsyncSession, project_id: int) -> None:
    """Wait for those that add responses, and keep them waiting until the transaction ends.

    So a prompt that is created here is seen by them, and has a lower number than those that they
    create after it. Call it before any row is locked.
    """
    await session.execute(_SHARE_TURN, {"id": project_id})


_MARK_SHARED = text(
    """
    WITH others AS (
        SELECT DISTINCT import_id AS id FROM prompts
        WHERE id = ANY(CAST(:ids AS bigint[])) AND import_id <> :import_id
    )
    UPDATE imports SET shared = true
    WHERE NOT shared AND (
        id IN (SELECT id FROM others) OR (id = :import_id AND EXISTS (SELECT FROM others))
    )
    """
)
_EXTEND_PROMPTS = text(
    """
    UPDATE prompts SET status = new.status, pairs_total = new.pairs, import_id = :import_id,
        latest_round = greatest(latest_round, new.round),
        failure = CASE WHEN new.status = 'failed' THEN prompts.failure END
    FROM unnest(
        CAST(:ids AS bigint[]), CAST(:statuses AS text[]), CAST(:pairs AS integer[]),
        CAST(:rounds AS smallint[])
    ) AS new (id, status, pairs, round)
    WHERE prompts.id = new.id
    """
)


class Extension(NamedTuple):
    """What a prompt is after it got responses. ``round`` is the latest of these."""

    status: str
    pairs_total: int
    round: int


async def extend_prompts(
    session: AsyncSession, import_id: int, prompts: Mapping[int, Extension]
) -> None:
    """Update prompts that an import has added responses to.

    The caller has locked them. If another import has added to one of them, both are marked.
    """
    if prompts:
        ids = {"ids": list(prompts), "import_id": import_id}
        statuses, pairs, rounds = map(list, zip(*prompts.values(), strict=True))
        await session.execute(_MARK_SHARED, ids)
        await session.execute(
            _EXTEND_PROMPTS, {**ids, "statuses": statuses, "pairs": pairs, "rounds": rounds}
        )


async def set_references(session: AsyncSession, response_ids: Sequence[int]) -> None:
    """Mark responses as the references of their prompts."""
    await session.execute(
        text("UPDATE responses SET reference = true WHERE id = ANY(CAST(:ids AS bigint[]))"),
        {"ids": list(response_ids)},
    )


async def count_intake(
    session: AsyncSession,
    project_id: int,
    *,
    prompts: int = 0,
    pending: int = 0,
    unplanned: int = 0,
    failed: int = 0,
) -> None:
    """Add to the project's counts of prompts. Call it last: many transactions want this row."""
    await session.execute(
        update(ProjectIntake)
        .where(ProjectIntake.project_id == project_id)
        .values(
            prompts=ProjectIntake.prompts + prompts,
            pending=ProjectIntake.pending + pending,
            unplanned=ProjectIntake.unplanned + unplanned,
            failed=ProjectIntake.failed + failed,
        )
        .execution_options(synchronize_session=False)
    )


async def try_again(session: AsyncSession, prompt_id: int) -> bool:
    """Set a failed prompt to pending; False if it has not failed."""
    tried = await session.execute(
        update(Prompt)
        .where(Prompt.id == prompt_id, Prompt.status == "failed")
        .values(status="pending", failure=None)
        .execution_options(synchronize_session=False)
        .returning(Prompt.id)
    )
    return tried.first() is not None


_COUNT_AS_PENDING = text("""
    UPDATE project_intake
    SET pending = pending + 1, failed = failed - CAST(:failed AS integer),
        unplanned = unplanned + CASE WHEN prompts.group_id IS NULL THEN CAST(:failed AS integer)
            ELSE 0 END
    FROM prompts
    WHERE prompts.id = :prompt_id AND project_intake.project_id = prompts.project_id
""")


async def count_as_pending(session: AsyncSession, prompt_id: int, *, was_failed: bool) -> None:
    """Count a stored prompt that is pending again. Call it last, as ``count_intake``."""
    await session.execute(_COUNT_AS_PENDING, {"prompt_id": prompt_id, "failed": int(was_failed)})


async def erase_prompt(session: AsyncSession, project_id: int, prompt_id: int) -> None:
    """Delete a prompt and what refers to it. Its id is kept, so that the index drops it too."""
    await session.execute(delete(Prompt).where(Prompt.id == prompt_id))
    await session.execute(insert(ErasedPrompt).values(prompt_id=prompt_id, project_id=project_id))


def _json(value: Any) -> str | None:
    return None if value is None else orjson.dumps(value).decode()
