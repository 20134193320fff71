"""SQL that reads what a preference model is fitted to: labels with vectors, and some prompts."""

from collections import defaultdict
from collections.abc import AsyncIterator, Collection, Sequence
from dataclasses import dataclass
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray
from sqlalchemy import text
from sqlalchemy.ext.asyncio import AsyncSession

from app.embedding.unit import from_bytes
from app.preference.words import count_words
from app.selection.arrays import FloatArray, IntArray
from app.selection.candidates import PromptCandidate
from app.vectors.stored import StoredVectors, prompt_vectors, response_vectors

ARMS: Final = ("strategy", "imported", "exploration")
BATCH_LABELS: Final = 500
"""The vectors of so many labels are read at a time."""
_NUMBERS_OF_BATCH: Final = 2**19
"""A batch is smaller where vectors are longer than 1,048."""
_MOST_NUMBERS: Final = 2**22
"""Sampled prompts bring no more numbers than this: 10,922 responses of 384 dimensions."""

# An earlier label has the lower number; a place in a fixed shuffle makes any beginning fair.
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
        ORDER BY {order} LIMIT :most
    ) AS labels
    JOIN prompts ON prompts.id = labels.prompt_id
    ORDER BY labels.id
"""
_EARLIEST_LABELS: Final = text(_LABELS.format(order=_ARRIVAL))
_SAMPLED_LABELS: Final = text(_LABELS.format(order=_SHUFFLE))
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
        ORDER BY hashint8extended(prompt_id, 0), prompt_id LIMIT :most
    ) AS sampled
    JOIN responses USING (prompt_id)
    ORDER BY hashint8extended(sampled.prompt_id, 0), sampled.prompt_id, responses.id
""")


@dataclass(frozen=True, slots=True)
class LabelledVectors:
    """Labels as a model reads them: one entry each, by number."""

    prompt_ids: IntArray
    """``(labels,)``."""
    groups: IntArray
    """The group of near-duplicates that each prompt is in: ``(labels,)``."""
    pair_ids: IntArray
    """``(labels,)``."""
    response_ids: IntArray
    """The pair's responses, the lower number first: ``(labels, 2)``."""
    prompts: FloatArray
    """Unit vectors of the prompts: ``(labels, dimensions)``."""
    responses: FloatArray
    """Unit vectors of the two responses: ``(labels, 2, dimensions)``."""
    targets: NDArray[np.float64]
    """1 where the first response is preferred, 0 where the second, ½ for a tie: ``(labels,)``."""
    weights: NDArray[np.float64]
    """The labels' strengths, 1 where none was given: ``(labels,)``."""
    typicality: NDArray[np.float64] | None = None
    """The two responses' mean similarities to the others of their prompt: ``(labels, 2)``."""
    words: IntArray | None = None
    """How many words the two responses have: ``(labels, 2)``."""

    def __len__(self) -> int:
        return len(self.targets)


async def stream_labels(
    session: AsyncSession,
    project_id: int,
    dimensions: int,
    *,
    arms: Collection[str] = ARMS,
    surplus: bool = False,
    handed_out: bool = False,
    earliest: bool = False,
    side: bool = False,
    most: int,
) -> AsyncIterator[LabelledVectors]:
    """The project's labels that compare two responses, by number, ``BATCH_LABELS`` at a time.

    Skips and both-bad say nothing of which is better, and are left out; so are labels whose texts
    have no vectors yet. Of more than ``most`` come the earliest, or a fair sample that is fixed.
    ``handed_out``: only those that were asked for here, none made elsewhere. ``side``: with
    typicality and words, for which all responses of the prompts are read.

    The labels by ``ix_labels_listing`` (a sample reads all of them once), vectors by primary key.
    """
    about = {
        "project_id": project_id,
        "statuses": ["counted", "surplus"] if surplus else ["counted"],
        "arms": list(arms),
        "handed_out": handed_out,
        "most": most,
    }
    rows = (await session.execute(_EARLIEST_LABELS if earliest else _SAMPLED_LABELS, about)).all()
    size = max(1, min(BATCH_LABELS, _NUMBERS_OF_BATCH // dimensions))
    for start in range(0, len(rows), size):
        yield await _with_vectors(session, rows[start : start + size], dimensions, side=side)


async def sample_prompts(
    session: AsyncSession, project_id: int, dimensions: int, *, most: int, side: bool = False
) -> list[PromptCandidate]:
    """Some of the project's prompts with the vectors of their responses: fair and fixed.

    At most ``most``, and fewer where responses are many or vectors long. A response without a
    vector is passed over, and a prompt with fewer than two. ``side``: with words. One pass over
    ``ix_prompt_embeddings_catch_up``; the vectors by primary key.
    """
    rows = await session.execute(_SAMPLED_PROMPTS, {"project_id": project_id, "most": most})
    responses: dict[int, list[int]] = defaultdict(list)
    for row in rows.all()[: _MOST_NUMBERS // dimensions]:
        responses[row.prompt_id].append(row.response_id)
    prompt_ids = sorted(responses)
    found: list[PromptCandidate] = []
    for start in range(0, len(prompt_ids), BATCH_LABELS):
        part = {prompt_id: responses[prompt_id] for prompt_id in prompt_ids[start:][:BATCH_LABELS]}
        found += await _candidates(session, part, dimensions, side=side)
    return found


async def _candidates(
    session: AsyncSession, responses: dict[int, list[int]], dimensions: int, *, side: bool
) -> list[PromptCandidate]:
    prompts = await prompt_vectors(session, np.array(list(responses)), dimensions)
    ids = np.array([each for ids in responses.values() for each in ids])
    vectors = await response_vectors(session, ids, dimensions)
    words = await count_words(session, ids.tolist()) if side else None
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
                )
            )
    return found


async def mean_cost(session: AsyncSession, project_id: int) -> float | None:
    """What a label has cost, skips included, in the unit of the budget; None while none has.

    Reads all of the project's labels once, by ``ix_labels_listing``.
    """
    found = await session.scalar(_MEAN_COST, {"project_id": project_id})
    return float(found) if found else None


async def _with_vectors(
    session: AsyncSession, rows: Sequence[Any], dimensions: int, *, side: bool
) -> LabelledVectors:
    """The labels whose three texts have vectors."""
    prompt_ids = np.array([row.prompt_id for row in rows], dtype=np.int64)
    response_ids = np.array(
        [(row.first_response_id, row.second_response_id) for row in rows], dtype=np.int64
    ).reshape(len(rows), 2)
    prompts = await prompt_vectors(session, prompt_ids, dimensions)
    typicality = None
    if side:
        responses, typicality = await _siblings(session, prompt_ids, dimensions)
    else:
        responses = await response_vectors(session, response_ids, dimensions)
    whole = prompts.has(prompt_ids) & responses.has(response_ids).all(axis=1)
    known = response_ids[whole]
    return LabelledVectors(
        prompt_ids=prompt_ids[whole],
        groups=np.array([row.group_id for row in rows], dtype=np.int64)[whole],
        pair_ids=np.array([row.pair_id for row in rows], dtype=np.int64)[whole],
        response_ids=known,
        prompts=prompts.of(prompt_ids[whole]),
        responses=responses.of(known),
        targets=np.array([row.target for row in rows], dtype=np.float64)[whole],
        weights=np.array([row.strength or 1 for row in rows], dtype=np.float64)[whole],
        typicality=None
        if typicality is None
        else typicality[np.searchsorted(responses.ids, known)],
        words=await _words_of(session, known) if side else None,
    )


async def _siblings(
    session: AsyncSession, prompt_ids: IntArray, dimensions: int
) -> tuple[StoredVectors, NDArray[np.float64]]:
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
    """In the shape of ``response_ids``."""
    words = await count_words(session, np.unique(response_ids).tolist())
    counts = [words.get(one, 0) for one in response_ids.ravel().tolist()]
    return np.array(counts, dtype=np.int64).reshape(response_ids.shape)
