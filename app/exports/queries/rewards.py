"""SQL that reads what rewards are fitted to: labels that compare, with the vectors they are on."""

from collections.abc import AsyncGenerator, Sequence
from typing import Any, Final

import numpy as np
from sqlalchemy import Row, select, text
from sqlalchemy.ext.asyncio import AsyncSession

from app.exports.queries.pairs import Source
from app.exports.rewards import Comparisons
from app.storage.tables import Project, Prompt
from app.vectors.stored import prompt_vectors, response_vectors

_PROMPTS_PER_FETCH: Final = 500
_LABELS: Final = text("""
    SELECT labels.prompt_id, pairs.first_response_id, pairs.second_response_id,
        CASE WHEN labels.preferred_response_id IS NULL THEN 0.5::float8
            WHEN labels.preferred_response_id = pairs.first_response_id THEN 1 ELSE 0 END,
        coalesce(labels.strength, 1)
    FROM labels JOIN pairs ON pairs.id = labels.pair_id
    WHERE labels.prompt_id = ANY(CAST(:prompt_ids AS bigint[]))
      AND labels.status = ANY(CAST(:statuses AS text[]))
      AND labels.choice IN ('left', 'right', 'tie')
    ORDER BY labels.id
""")


async def read_dimensions(session: AsyncSession, project_id: int) -> int | None:
    """The length of the project's vectors; None while it has none."""
    statement = select(Project.embedding_dimensions).where(Project.id == project_id)
    return (await session.execute(statement)).scalar_one()


async def stream_comparisons(
    session: AsyncSession, source: Source, dimensions: int
) -> AsyncGenerator[Comparisons, None]:
    """The labels that compare two responses, with the vectors, some prompts at a time.

    Prompts come by number, as ``ix_prompts_listing`` has them; their labels by
    ``ix_labels_prompt``, vectors by key. Labels of which a text has no vector are left out.
    """
    last = 0
    while prompt_ids := await _prompts_after(session, source, last):
        last = prompt_ids[-1]
        about = {"prompt_ids": prompt_ids, "statuses": list(source.statuses)}
        rows = (await session.execute(_LABELS, about)).all()
        if rows:
            yield await _with_vectors(session, rows, dimensions)


async def _prompts_after(session: AsyncSession, source: Source, last: int) -> list[int]:
    statement = (
        select(Prompt.id)
        .where(
            Prompt.project_id == source.project_id, Prompt.group_id.is_not(None), Prompt.id > last
        )
        .order_by(Prompt.id)
        .limit(_PROMPTS_PER_FETCH)
    )
    return list(await session.scalars(statement))


async def _with_vectors(
    session: AsyncSession, rows: Sequence[Row[Any]], dimensions: int
) -> Comparisons:
    columns = [np.array(each) for each in zip(*rows, strict=True)]
    prompts = await prompt_vectors(session, columns[0], dimensions)
    responses = await response_vectors(
        session, np.concatenate([columns[1], columns[2]]), dimensions
    )
    whole = prompts.has(columns[0]) & responses.has(columns[1]) & responses.has(columns[2])
    prompt_ids, first_ids, second_ids, share, weight = (each[whole] for each in columns)
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
        share=share.astype(np.float64),
        weight=weight.astype(np.float64),
    )
