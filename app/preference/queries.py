"""SQL of what the preference model is fitted to: labels with vectors, prompts and word counts."""

from collections import defaultdict
from collections.abc import AsyncIterator, Collection, Sequence
from dataclasses import dataclass
from typing import Any, Final

import numpy as np
from sqlalchemy import BigInteger, select, text
from sqlalchemy.ext.asyncio import AsyncSession

from app.embedding.unit import from_bytes
from app.formats.tool_calls import render_response
from app.selection.arrays import Float64Array, FloatArray, IntArray
from app.selection.candidates import PromptCandidate
from app.selection.cost import count_words
from app.selection.model.features import FeatureSet
from app.storage.arm import Arm
from app.storage.sql import among, statement
from app.storage.tables import Response
from app.vectors.stored import (
    StoredVectors,
    prompt_vectors,
    response_styles,
    response_vectors,
)

BATCH_LABELS: Final = 500
"""The number of labels whose vectors are read at a time."""
_MAX_BATCH_NUMBERS: Final = 2**19
"""Limits a batch where vectors are longer than 1,048."""
_MAX_SAMPLE_NUMBERS: Final = 2**22
"""Limits the sample of prompts: 10,922 responses of 384 dimensions."""
_TEXTS_PER_FETCH: Final = 1024

# Ids are in order of arrival; the hash gives a fixed random order, for a fair sample.
_ARRIVAL: Final = "labels.id"
_SHUFFLE: Final = "hashint8extended(labels.id, 0), labels.id"
_LABELS: Final = """
    SELECT labels.*, coalesce(prompts.group_id, prompts.id) AS group_id
    FROM (
        SELECT labels.id, labels.prompt_id, labels.pair_id, labels.strength,
            pairs.first_response_id, pairs.second_response_id,
            CASE labels.preferred_response_id WHEN pairs.first_response_id THEN 1
                WHEN pairs.second_response_id THEN 0 ELSE 0.5 END AS target
        FROM labels JOIN pairs ON pairs.id = labels.pair_id
        WHERE labels.project_id = :project_id
          AND labels.status = ANY(CAST(:statuses AS text[]))
          AND labels.choice IN ('left', 'right', 'tie')
          AND pairs.arm = ANY(CAST(:arms AS text[]))
          AND (labels.assignment_id IS NOT NULL OR NOT :handed_out)
        ORDER BY {order} LIMIT :limit
    ) AS labels
    JOIN prompts ON prompts.id = labels.prompt_id
    ORDER BY labels.id
"""
_EARLIEST_LABELS: Final = statement(_LABELS, order=_ARRIVAL)
_SAMPLED_LABELS: Final = statement(_LABELS, order=_SHUFFLE)
_MEAN_COST: Final = text("""
    SELECT projects.spent / nullif(count(labels.id), 0)
    FROM projects
    LEFT JOIN labels ON labels.project_id = projects.id
        AND labels.status = 'counted' AND labels.assignment_id IS NOT NULL
    WHERE projects.id = :project_id
    GROUP BY projects.id
""")
_SIBLING_VECTORS: Final = text("""
    SELECT response_id, vector, prompt_id
    FROM responses JOIN response_embeddings ON response_id = responses.id
    WHERE prompt_id = ANY(CAST(:ids AS bigint[]))
""")
_SAMPLED_PROMPTS: Final = text("""
    SELECT sampled.prompt_id, responses.id AS response_id
    FROM (
        SELECT prompt_id FROM prompt_embeddings WHERE project_id = :project_id
        ORDER BY hashint8extended(prompt_id, 0), prompt_id LIMIT :limit
    ) AS sampled
    JOIN responses USING (prompt_id)
    ORDER BY hashint8extended(sampled.prompt_id, 0), sampled.prompt_id, responses.id
""")


@dataclass(frozen=True, slots=True)
class LabelledVectors:
    """The labels that a model is fitted to, by id."""

    prompt_ids: IntArray
    """``(labels,)``."""
    groups: IntArray
    """The group of each prompt: ``(labels,)``."""
    pair_ids: IntArray
    """``(labels,)``."""
    response_ids: IntArray
    """The pair's responses, the lower id first: ``(labels, 2)``."""
    prompts: FloatArray
    """Unit vectors of the prompts: ``(labels, dimensions)``."""
    responses: FloatArray
    """Unit vectors of the two responses: ``(labels, 2, dimensions)``."""
    targets: Float64Array
    """1 where the first response is preferred, 0 where the second, ½ for a tie: ``(labels,)``."""
    weights: Float64Array
    """The labels' strengths, 1 where none was given: ``(labels,)``."""
    typicality: Float64Array | None = None
    """The two responses' mean similarities to the others of their prompt: ``(labels, 2)``."""
    words: IntArray | None = None
    """How many words the two responses have: ``(labels, 2)``."""
    style: FloatArray | None = None
    """The style of the two responses, NaN where it is not known: ``(labels, 2, features)``."""

    def __len__(self) -> int:
        return len(self.targets)


async def stream_labels(
    session: AsyncSession,
    project_id: int,
    dimensions: int,
    *,
    arms: Collection[str] = tuple(Arm),
    surplus: bool = False,
    handed_out: bool = False,
    earliest: bool = False,
    feature_set: FeatureSet = FeatureSet.VECTORS,
    limit: int,
) -> AsyncIterator[LabelledVectors]:
    """The project's labels that compare two responses, by id, ``BATCH_LABELS`` at a time.

    Skips and both-bad are left out, because they do not say which response is better; so are labels
    on texts without vectors. If there are more than ``limit``, the earliest or a fixed, fair sample
    is read. Labels are served by ``ix_labels_listing`` (a sample reads all of them once), vectors
    by their primary key.

    Args:
        session: the database session.
        project_id: the project.
        dimensions: the length of its vectors.
        arms: of the pairs whose labels are read.
        surplus: whether surplus labels are read too.
        handed_out: whether labels made elsewhere are left out.
        earliest: whether the earliest labels are read instead of a sample.
        feature_set: what is read beside the vectors. Typicality takes all responses of the prompts.
        limit: how many labels are read at most.
    """
    parameters = {
        "project_id": project_id,
        "statuses": ["counted", "surplus"] if surplus else ["counted"],
        "arms": list(arms),
        "handed_out": handed_out,
        "limit": limit,
    }
    labels = _EARLIEST_LABELS if earliest else _SAMPLED_LABELS
    rows = (await session.execute(labels, parameters)).all()
    size = max(1, min(BATCH_LABELS, _MAX_BATCH_NUMBERS // dimensions))
    for start in range(0, len(rows), size):
        yield await _with_vectors(session, rows[start : start + size], dimensions, feature_set)


async def sample_prompts(
    session: AsyncSession,
    project_id: int,
    dimensions: int,
    *,
    limit: int,
    with_words: bool = False,
    with_style: bool = False,
) -> list[PromptCandidate]:
    """A fixed, fair sample of the project's prompts, with the vectors of their responses.

    At most ``limit`` prompts, and fewer with many responses or long vectors. Responses without a
    vector are left out, and prompts with fewer than two others. Served by one pass over
    ``ix_prompt_embeddings_catch_up``; vectors by their primary key.
    """
    rows = await session.execute(_SAMPLED_PROMPTS, {"project_id": project_id, "limit": limit})
    responses: dict[int, list[int]] = defaultdict(list)
    for row in rows.all()[: _MAX_SAMPLE_NUMBERS // dimensions]:
        responses[row.prompt_id].append(row.response_id)
    prompt_ids = sorted(responses)
    found: list[PromptCandidate] = []
    for start in range(0, len(prompt_ids), BATCH_LABELS):
        part = {prompt_id: responses[prompt_id] for prompt_id in prompt_ids[start:][:BATCH_LABELS]}
        found += await _candidates(
            session, part, dimensions, with_words=with_words, with_style=with_style
        )
    return found


async def _candidates(
    session: AsyncSession,
    responses: dict[int, list[int]],
    dimensions: int,
    *,
    with_words: bool,
    with_style: bool,
) -> list[PromptCandidate]:
    prompts = await prompt_vectors(session, np.array(list(responses)), dimensions)
    ids = np.array([each for ids in responses.values() for each in ids])
    vectors = await response_vectors(session, ids, dimensions)
    words = await count_response_words(session, ids.tolist()) if with_words else None
    styles = await response_styles(session, ids) if with_style else None
    style_of = {} if styles is None else dict(zip(ids.tolist(), styles, strict=True))
    found = []
    for prompt_id, response_ids in responses.items():
        own = np.array(response_ids)
        known = own[vectors.has(own)]
        if len(known) > 1 and prompts.has(np.array([prompt_id])).all():
            [prompt] = prompts.of(np.array([prompt_id]))
            found.append(
                PromptCandidate(
                    prompt_id,
                    known.tolist(),
                    vectors.of(known),
                    prompt_embedding=prompt,
                    words=None if words is None else [words[one] for one in known.tolist()],
                    style=np.array([style_of[one] for one in known.tolist()])
                    if with_style
                    else None,
                )
            )
    return found


async def count_response_words(
    session: AsyncSession, response_ids: Collection[int]
) -> dict[int, int]:
    """How many words each response has, its tool calls included. Served by the primary key.

    Counting here takes 50 µs for a text of 250 words, fetching it included; ``regexp_count`` in
    PostgreSQL takes 270 µs.
    """
    words: dict[int, int] = {}
    ids = list(response_ids)
    for start in range(0, len(ids), _TEXTS_PER_FETCH):
        rows = await session.execute(
            select(Response.id, Response.text, Response.tool_calls).where(
                among(Response.id, ids[start : start + _TEXTS_PER_FETCH], BigInteger)
            )
        )
        words |= {row.id: count_words(render_response(row.text, row.tool_calls)) for row in rows}
    return words


async def mean_cost(session: AsyncSession, project_id: int) -> float | None:
    """What a label cost on average, skips included, in the budget's unit; None: nothing was spent.

    Reads all of the project's labels once, by ``ix_labels_listing``.
    """
    found = await session.scalar(_MEAN_COST, {"project_id": project_id})
    return float(found) if found else None


async def _with_vectors(
    session: AsyncSession, rows: Sequence[Any], dimensions: int, feature_set: FeatureSet
) -> LabelledVectors:
    """The labels whose three texts have vectors."""
    prompt_ids = np.array([row.prompt_id for row in rows], dtype=np.int64)
    response_ids = np.array(
        [(row.first_response_id, row.second_response_id) for row in rows], dtype=np.int64
    ).reshape(len(rows), 2)
    prompts = await prompt_vectors(session, prompt_ids, dimensions)
    typicality = None
    if feature_set is not FeatureSet.VECTORS:
        responses, typicality = await _siblings(session, prompt_ids, dimensions)
    else:
        responses = await response_vectors(session, response_ids, dimensions)
    has_vectors = prompts.has(prompt_ids) & responses.has(response_ids).all(axis=1)
    known = response_ids[has_vectors]
    return LabelledVectors(
        prompt_ids=prompt_ids[has_vectors],
        groups=np.array([row.group_id for row in rows], dtype=np.int64)[has_vectors],
        pair_ids=np.array([row.pair_id for row in rows], dtype=np.int64)[has_vectors],
        response_ids=known,
        prompts=prompts.of(prompt_ids[has_vectors]),
        responses=responses.of(known),
        targets=np.array([row.target for row in rows], dtype=np.float64)[has_vectors],
        weights=np.array([row.strength or 1 for row in rows], dtype=np.float64)[has_vectors],
        typicality=None
        if typicality is None
        else typicality[np.searchsorted(responses.ids, known)],
        words=await _words_of(session, known) if feature_set is FeatureSet.SIDES else None,
        style=await response_styles(session, known) if feature_set is FeatureSet.STYLE else None,
    )


async def _siblings(
    session: AsyncSession, prompt_ids: IntArray, dimensions: int
) -> tuple[StoredVectors, Float64Array]:
    """All responses of the prompts that have vectors, and how typical each is: ``(n,)``."""
    found = await session.execute(_SIBLING_VECTORS, {"ids": np.unique(prompt_ids).tolist()})
    rows = sorted(found.all(), key=lambda row: int(row.response_id))
    vectors = from_bytes([row.vector for row in rows], dimensions)
    _, owner, sizes = np.unique(
        np.array([row.prompt_id for row in rows], dtype=np.int64),
        return_inverse=True,
        return_counts=True,
    )
    sums = np.zeros((len(sizes), dimensions))
    np.add.at(sums, owner, vectors)
    others = np.maximum(sizes - 1, 1)[owner]
    typicality = (np.einsum("nd,nd->n", vectors, sums[owner]) - 1) / others
    ids = np.array([row.response_id for row in rows], dtype=np.int64)
    return StoredVectors(ids, vectors), np.asarray(typicality, dtype=np.float64)


async def _words_of(session: AsyncSession, response_ids: IntArray) -> IntArray:
    """The words of responses, in the shape of ``response_ids``."""
    words = await count_response_words(session, np.unique(response_ids).tolist())
    counts = [words.get(one, 0) for one in response_ids.ravel().tolist()]
    return np.array(counts, dtype=np.int64).reshape(response_ids.shape)
