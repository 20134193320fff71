"""The SQL of imported labels. The project's row is locked."""

from collections import Counter
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from operator import attrgetter

from sqlalchemy import BigInteger, select, text, update
from sqlalchemy.ext.asyncio import AsyncSession

from app.storage import predicates
from app.storage.arm import Arm
from app.storage.copying import copy_rows, next_ids
from app.storage.sql import among, lock_prompts, read_as
from app.storage.tables import Label, Project


@dataclass(frozen=True, slots=True)
class LiveLabel:
    """A label that has not been withdrawn."""

    id: int
    preferred_response_id: int | None
    choice: str


async def find_or_add_pairs(
    session: AsyncSession,
    project_id: int,
    pairs: Collection[tuple[int, int, int]],
) -> dict[tuple[int, int], int]:
    """The pairs' numbers by their responses; ``pairs`` are prompt, first and second response.

    They are locked: the planner cannot remove one before it has its labels. Served by the unique
    index on the three.
    """
    numbers: dict[tuple[int, int], int] = {}
    missing = sorted(pairs)
    while missing:
        prompt_ids, first_ids, second_ids = (list(each) for each in zip(*missing, strict=True))
        parameters = {"prompts": prompt_ids, "firsts": first_ids, "seconds": second_ids}
        await _add_pairs(session, project_id, parameters)
        found = await session.execute(_LOCK_PAIRS, parameters)
        numbers |= {(row.first_response_id, row.second_response_id): row.id for row in found}
        # The planner may have removed one that was there when the others were added.
        missing = [pair for pair in missing if pair[1:] not in numbers]
    return numbers


# A pair that is known from imported labels alone wants no labels, and so is never open. The rows
# are inserted in the order of the numbers: the planner, adding some of the same pairs, waits
# instead of deadlocking.
_ADD_PAIRS = text(
    """
    INSERT INTO pairs (project_id, prompt_id, first_response_id, second_response_id, arm, strategy,
        position, expected_seconds, labels_wanted, overlap_draw, handed_out)
    SELECT :project_id, sent.prompt_id, sent.first_id, sent.second_id, :arm, :arm, 0, 0, 0, 1, true
    FROM unnest(
        CAST(:prompts AS bigint[]), CAST(:firsts AS bigint[]), CAST(:seconds AS bigint[])
    ) AS sent (prompt_id, first_id, second_id)
    ON CONFLICT DO NOTHING
    RETURNING prompt_id
    """
)
_COUNT_PLANNED = text(
    """
    UPDATE prompts SET pairs_planned = pairs_planned + new.pairs
    FROM unnest(CAST(:ids AS bigint[]), CAST(:counts AS integer[])) AS new (id, pairs)
    WHERE prompts.id = new.id
    """
)
_LOCK_PAIRS = text(
    """
    SELECT pairs.id, pairs.first_response_id, pairs.second_response_id
    FROM unnest(
        CAST(:prompts AS bigint[]), CAST(:firsts AS bigint[]), CAST(:seconds AS bigint[])
    ) AS sent (prompt_id, first_id, second_id)
    JOIN pairs ON pairs.prompt_id = sent.prompt_id
        AND pairs.first_response_id = sent.first_id AND pairs.second_response_id = sent.second_id
    FOR KEY SHARE OF pairs
    """
)


async def _add_pairs(
    session: AsyncSession, project_id: int, parameters: Mapping[str, list[int]]
) -> None:
    added = await session.scalars(
        _ADD_PAIRS, {**parameters, "project_id": project_id, "arm": Arm.IMPORTED}
    )
    planned = Counter(added)
    if planned:
        await lock_prompts(session, planned)
        await session.execute(
            _COUNT_PLANNED, {"ids": list(planned), "counts": list(planned.values())}
        )


async def live_labels(
    session: AsyncSession, pair_ids: Collection[int]
) -> dict[tuple[int, str], LiveLabel]:
    """The live labels of the pairs, by pair and annotator. Served by ``uq_labels_live``."""
    rows = await session.execute(
        select(
            Label.pair_id, Label.annotator, Label.id, Label.preferred_response_id, Label.choice
        ).where(among(Label.pair_id, pair_ids, BigInteger), text(predicates.LIVE_LABEL))
    )
    return {(row.pair_id, row.annotator): read_as(LiveLabel, row) for row in rows}


_COPIED = (
    "prompt_id",
    "annotator",
    "choice",
    "preferred_response_id",
    "rejected_response_id",
    "strength",
)


async def insert_labels(
    session: AsyncSession, project_id: int, labels: Mapping[tuple[int, str], object]
) -> dict[tuple[int, str], int]:
    """Add counted labels by pair and annotator; gives their numbers.

    The labels have the columns named in ``_COPIED`` as attributes.
    """
    if not labels:
        return {}
    ids = dict(zip(labels, await next_ids(session, "labels", len(labels)), strict=True))
    copied = attrgetter(*_COPIED)
    await copy_rows(
        session,
        "labels",
        ("id", "project_id", "pair_id", "status", *_COPIED),
        [
            (ids[key], project_id, key[0], "counted", *copied(label))
            for key, label in labels.items()
        ],
    )
    await _count(session, project_id, [pair_id for pair_id, _ in labels])
    return ids


_COUNT_LABELS = text(
    """
    UPDATE pairs SET imported = imported + new.labels
    FROM unnest(CAST(:ids AS bigint[]), CAST(:counts AS integer[])) AS new (id, labels)
    WHERE pairs.id = new.id
    """
)


async def _count(session: AsyncSession, project_id: int, pair_ids: Sequence[int]) -> None:
    counts = Counter(pair_ids)
    await session.execute(_COUNT_LABELS, {"ids": list(counts), "counts": list(counts.values())})
    await session.execute(
        update(Project)
        .where(Project.id == project_id)
        .values(counted_labels=Project.counted_labels + len(pair_ids))
    )
