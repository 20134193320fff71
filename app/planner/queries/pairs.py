"""SQL that adds pairs to the plan, and counts them."""

from collections import Counter
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass

from sqlalchemy import text
from sqlalchemy.ext.asyncio import AsyncSession

from app.planner.queries.rounds import renew_rounds
from app.storage.arm import Arm
from app.storage.predicates import OF_AUTOMATIC_LABELS
from app.storage.sql import lock_prompts, statement


@dataclass(frozen=True, slots=True)
class ChosenPair:
    """A pair that a strategy or the exploration draw has chosen, and its position in the plan."""

    prompt_id: int
    first_response_id: int
    second_response_id: int
    similarity: float | None
    arm: Arm
    strategy: str
    propensity: float | None
    position: float


@dataclass(frozen=True, slots=True)
class NewPair(ChosenPair):
    """A pair that enters the plan."""

    expected_seconds: float
    labels_wanted: int
    overlap_draw: float


_NEW_PAIR = {
    "prompt_id": "bigint",
    "first_response_id": "bigint",
    "second_response_id": "bigint",
    "similarity": "float8",
    "arm": "text",
    "strategy": "text",
    "propensity": "float8",
    "position": "float8",
    "expected_seconds": "float8",
    "labels_wanted": "smallint",
    "overlap_draw": "float8",
}
_INSERT = statement(
    """
    INSERT INTO pairs (project_id, {columns})
    SELECT :project_id, {columns} FROM unnest({arrays}) AS new ({columns})
    ON CONFLICT (prompt_id, first_response_id, second_response_id) DO UPDATE
    SET ({columns}, handed_out) = ({excluded}, false)
    WHERE pairs.arm = 'automatic'
    RETURNING prompt_id
    """,
    columns=", ".join(_NEW_PAIR),
    excluded=", ".join(f"excluded.{name}" for name in _NEW_PAIR),
    arrays=", ".join(f"CAST(:{name} AS {kind}[])" for name, kind in _NEW_PAIR.items()),
)
_COUNT_OPEN = text("""
    SELECT count(*) FROM (
        SELECT FROM pairs
        WHERE project_id = :project_id AND arm = 'strategy' AND open AND NOT handed_out
        LIMIT :limit
    ) AS waiting
""")
_COUNT_PAIRS = text("""
    UPDATE prompts SET pairs_planned = pairs_planned + new.pairs
    FROM unnest(CAST(:ids AS bigint[]), CAST(:pairs AS integer[])) AS new (id, pairs)
    WHERE prompts.id = new.id
""")
_RECOUNT = statement(
    """
    UPDATE prompts
    SET pairs_planned = (
        SELECT count(*) FROM pairs WHERE pairs.prompt_id = prompts.id AND NOT ({automatic})
    )
    WHERE id = ANY(CAST(:ids AS bigint[]))
    """,
    automatic=OF_AUTOMATIC_LABELS,
)


async def insert_pairs(session: AsyncSession, project_id: int, pairs: Sequence[NewPair]) -> int:
    """Add pairs to the plan; gives how many were not there yet.

    Writes pairs before prompts, both in the order of their ids, as every writer of pairs does.
    """
    inserted = await insert_rows(session, project_id, pairs)
    await add_to_counts(session, inserted)
    return inserted.total()


async def insert_rows(
    session: AsyncSession, project_id: int, pairs: Sequence[NewPair]
) -> Counter[int]:
    """Add pairs to the plan without counting them; gives how many each prompt got."""
    if not pairs:
        return Counter()
    ordered = sorted(
        pairs, key=lambda pair: (pair.prompt_id, pair.first_response_id, pair.second_response_id)
    )
    columns = {name: [getattr(pair, name) for pair in ordered] for name in _NEW_PAIR}
    return Counter(await session.scalars(_INSERT, {"project_id": project_id, **columns}))


async def add_to_counts(session: AsyncSession, changes: Mapping[int, int]) -> None:
    """Add to the prompts' numbers of planned pairs; what a prompt loses is negative."""
    changed = {prompt_id: pairs for prompt_id, pairs in changes.items() if pairs}
    if changed:
        await lock_prompts(session, changed)
        parameters = {"ids": list(changed), "pairs": list(changed.values())}
        await session.execute(_COUNT_PAIRS, parameters)
        await renew_rounds(session, changed)


async def recount_pairs(session: AsyncSession, prompt_ids: Collection[int]) -> None:
    """Count the planned pairs of prompts of which no pair could be chosen."""
    if prompt_ids:
        await lock_prompts(session, prompt_ids)
        await session.execute(_RECOUNT, {"ids": list(prompt_ids)})
        await renew_rounds(session, prompt_ids)


async def count_open(session: AsyncSession, project_id: int, limit: int) -> int:
    """How many pairs of the strategy wait to be handed out for the first time, up to ``limit``.

    Served by ``ix_pairs_open`` or ``ix_pairs_untouched``.
    """
    parameters = {"project_id": project_id, "limit": limit}
    return int((await session.execute(_COUNT_OPEN, parameters)).scalar_one())
