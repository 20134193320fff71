"""SQL of what rewards are fitted to: labels that compare responses, with the vectors of both."""

from collections.abc import AsyncGenerator, Sequence
from typing import Any, Final

import numpy as np
from sqlalchemy import Row, select, text
from sqlalchemy.ext.asyncio import AsyncSession

from app.exports.queries.pairs import Source
from app.exports.rewards import Comparisons
from app.storage.tables import Prompt
from app.vectors.stored import prompt_vectors, response_vectors

_PROMPTS_PER_FETCH: Final = 500
_LABELS: Final = text("""
    SELECT labels.prompt_id, pairs.first_response_id, pairs.second_response_id,
        CASE WHEN labels.preferred_response_id IS NULL THEN 0.5::float8
            WHEN labels.preferred_response_id = pairs.first_response_id THEN 1 ELSE 0 END AS share,
        coalesce(labels.strength, 1) AS weight
    FROM labels JOIN pairs ON pairs.id = labels.pair_id
    WHERE labels.prompt_id = ANY(CAST(:prompt_ids AS bigint[]))
      AND labels.status = ANY(CAST(:statuses AS text[]))
      AND labels.choice IN ('left', 'right', 'tie')
    ORDER BY labels.id
""")


async def stream_comparisons(
    session: AsyncSession, source: Source, dimensions: int
) -> AsyncGenerator[Comparisons, None]:
    """The labels that compare two responses, with the vectors, some prompts at a time.

    Prompts are ordered by id and served by ``ix_prompts_listing``, their labels by
    ``ix_labels_prompt``, vectors by their key. A label is left out if one of its texts has no
    vector.
    """
    after_id = 0
    while prompt_ids := await _prompts_after(session, source, after_id):
        after_id = prompt_ids[-1]
        about = {"prompt_ids": prompt_ids, "statuses": list(source.statuses)}
        rows = (await session.execute(_LABELS, about)).all()
        if rows:
            yield await _with_vectors(session, rows, dimensions)


async def _prompts_after(session: AsyncSession, source: Source, after_id: int) -> list[int]:
    statement = (
        select(Prompt.id)
        .where(
            Prompt.project_id == source.project_id,
            Prompt.group_id.is_not(None),
            Prompt.id > after_id,
        )
        .order_by(Prompt.id)
        .limit(_PROMPTS_PER_FETCH)
    )
    return list(await session.scalars(statement))


async def _with_vectors(
    session: AsyncSession, rows: Sequence[Row[Any]], dimensions: int
) -> Comparisons:
    prompt_ids = np.array([row.prompt_id for row in rows])
    first_ids = np.array([row.first_response_id for row in rows])
    second_ids = np.array([row.second_response_id for row in rows])
    prompts = await prompt_vectors(session, prompt_ids, dimensions)
    responses = await response_vectors(session, np.concatenate([first_ids, second_ids]), dimensions)
    has_vectors = prompts.has(prompt_ids) & responses.has(first_ids) & responses.has(second_ids)
    prompt_ids, first_ids = prompt_ids[has_vectors], first_ids[has_vectors]
    second_ids = second_ids[has_vectors]
    both = np.concatenate([first_ids, second_ids])
    owners = np.concatenate([prompt_ids, prompt_ids])
    known, places, labelled = np.unique(both, return_index=True, return_inverse=True)
    by_prompt = np.lexsort((known, owners[places]))
    place_of = np.argsort(by_prompt)[labelled]
    return Comparisons(
        prompt_ids=owners[places][by_prompt],
        response_ids=known[by_prompt],
        responses=responses.of(known[by_prompt]),
        prompts=prompts.of(owners[places][by_prompt]),
        first=place_of[: len(first_ids)],
        second=place_of[len(first_ids) :],
        share=np.array([row.share for row in rows], dtype=np.float64)[has_vectors],
        weight=np.array([row.weight for row in rows], dtype=np.float64)[has_vectors],
    )
