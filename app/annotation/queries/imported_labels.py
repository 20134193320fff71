"""The SQL of imported labels. The project's row is locked."""

from collections import Counter, defaultdict
from collections.abc import Collection, Mapping, Sequence
from operator import attrgetter
from typing import NamedTuple

from sqlalchemy import BigInteger, select, text, update
from sqlalchemy.ext.asyncio import AsyncSession

from app.annotation.queries.disputes import refresh_disputes
from app.storage import predicates
from app.storage.arm import Arm
from app.storage.copying import copy_rows, next_ids
from app.storage.sql import among, lock_prompts
from app.storage.tables import Label, Project

Answer = int | str
"""What a label says, whatever side was shown: the preferred response, or the choice of neither."""


class NewLabelRow(NamedTuple):
    """A label to add: its number, its pair, and an object with the attributes in ``_COPIED``."""

    id: int
    pair_id: int
    label: object


async def find_or_add_pairs(
    session: AsyncSession,
    project_id: int,
    pairs: Mapping[tuple[int, int, int], Arm],
    changing: Collection[int] = (),
) -> dict[tuple[int, int], int]:
    """The pairs' numbers by their responses; ``pairs`` are prompt, first and second response.

    Those that are not stored are added to their arm: ``imported``, to which those of the arm
    ``automatic`` move, or ``automatic``, whose pairs count as unplanned.

    They are locked: the planner cannot remove one before it has its labels. The prompts
    ``changing`` are locked too, in the place where prompts are. Served by the unique index on the
    three.
    """
    numbers: dict[tuple[int, int], int] = {}
    missing = sorted(pairs)
    while missing:
        prompt_ids, first_ids, second_ids = (list(each) for each in zip(*missing, strict=True))
        parameters = {"prompts": prompt_ids, "firsts": first_ids, "seconds": second_ids}
        arms = [pairs[pair] for pair in missing]
        await _add_pairs(session, project_id, parameters, arms, changing)
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
    SELECT :project_id, sent.prompt_id, sent.first_id, sent.second_id, sent.arm, sent.arm, 0, 0, 0,
        1, true
    FROM unnest(
        CAST(:prompts AS bigint[]), CAST(:firsts AS bigint[]), CAST(:seconds AS bigint[]),
        CAST(:arms AS text[])
    ) AS sent (prompt_id, first_id, second_id, arm)
    ON CONFLICT (prompt_id, first_response_id, second_response_id) DO UPDATE SET arm = excluded.arm
    WHERE pairs.arm = 'automatic' AND excluded.arm = 'imported'
    RETURNING prompt_id, arm
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
    session: AsyncSession,
    project_id: int,
    parameters: Mapping[str, list[int]],
    arms: Sequence[Arm],
    changing: Collection[int],
) -> None:
    added = await session.execute(
        _ADD_PAIRS, {**parameters, "project_id": project_id, "arms": list(arms)}
    )
    planned = Counter(row.prompt_id for row in added if row.arm == Arm.IMPORTED)
    if planned or changing:
        await lock_prompts(session, planned.keys() | set(changing))
    if planned:
        await session.execute(
            _COUNT_PLANNED, {"ids": list(planned), "counts": list(planned.values())}
        )


async def live_labels(
    session: AsyncSession, pair_ids: Collection[int]
) -> dict[tuple[int, str], dict[Answer, int]]:
    """The numbers of the pairs' live labels by their answers, by pair and annotator.

    Served by ``uq_labels_live``.
    """
    rows = await session.execute(
        select(
            Label.pair_id, Label.annotator, Label.id, Label.preferred_response_id, Label.choice
        ).where(among(Label.pair_id, pair_ids, BigInteger), text(predicates.LIVE_LABEL))
    )
    found: dict[tuple[int, str], dict[Answer, int]] = defaultdict(dict)
    for row in rows:
        answer = row.preferred_response_id or row.choice
        found[row.pair_id, row.annotator][answer] = row.id
    return found


async def next_label_ids(session: AsyncSession, count: int) -> list[int]:
    """Numbers for so many new labels; those that are not used are lost."""
    return await next_ids(session, "labels", count)


_COPIED = (
    "status",
    "prompt_id",
    "annotator",
    "choice",
    "preferred_response_id",
    "rejected_response_id",
    "strength",
    "seconds",
    "rationale",
    "edited",
    "edited_rejected",
)


async def insert_labels(
    session: AsyncSession, project_id: int, labels: Sequence[NewLabelRow]
) -> None:
    """Add labels, and count those of people."""
    if not labels:
        return
    copied = attrgetter(*_COPIED)
    await copy_rows(
        session,
        "labels",
        ("id", "project_id", "pair_id", *_COPIED),
        [(row.id, project_id, row.pair_id, *copied(row.label)) for row in labels],
    )
    status = attrgetter("status")
    counted = [row.pair_id for row in labels if status(row.label) == "counted"]
    if counted:
        await _count(session, project_id, counted)
        await refresh_disputes(session, set(counted))


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
