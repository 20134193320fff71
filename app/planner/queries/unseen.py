"""SQL over unseen pairs: those that the planner may replace or remove."""

from collections import Counter, defaultdict
from collections.abc import Collection, Iterable, Sequence
from dataclasses import dataclass

from sqlalchemy import text
from sqlalchemy.ext.asyncio import AsyncSession

from app.planner.queries.outlook import PlanSettings
from app.planner.queries.pairs import add_to_counts
from app.planner.queries.rounds import renew_rounds
from app.storage.predicates import (
    NEVER_HANDED_OUT,
    OF_AUTOMATIC_LABELS,
    OUTGROWN_PROMPT,
    UNSEEN_PAIR,
)
from app.storage.sql import lock_prompts, statement

ResponsePair = tuple[int, int]
"""The ids of a pair's responses, the lower one first."""


@dataclass(frozen=True, slots=True)
class UnseenPair:
    """A pair of the plan that nobody has seen."""

    id: int
    prompt_id: int
    responses: ResponsePair
    strategy: str
    position: float
    expected_seconds: float


_UNSEEN = """
    SELECT id, prompt_id, first_response_id, second_response_id, strategy, position,
        expected_seconds
    FROM pairs
    WHERE prompt_id = ANY(CAST(:ids AS bigint[])) AND {unseen}
    ORDER BY prompt_id, first_response_id, second_response_id
    {lock}
"""
_READ_UNSEEN = statement(_UNSEEN, unseen=UNSEEN_PAIR, lock="")
_LOCK_UNSEEN = statement(_UNSEEN, unseen=UNSEEN_PAIR, lock="FOR UPDATE SKIP LOCKED")
_PAIRS_OF_PROMPTS = statement(
    """
    SELECT id, prompt_id, first_response_id, second_response_id FROM pairs
    WHERE prompt_id = ANY(CAST(:ids AS bigint[])) AND NOT ({automatic})
    """,
    automatic=OF_AUTOMATIC_LABELS,
)
_HOLD_PROMPTS = text("""
    SELECT id FROM prompts WHERE id = ANY(CAST(:ids AS bigint[])) ORDER BY id FOR KEY SHARE
""")
_DELETE = text("DELETE FROM pairs WHERE id = ANY(CAST(:ids AS bigint[]))")
_MOVE = text("""
    UPDATE pairs
    SET strategy = new.strategy, position = new.position, expected_seconds = new.seconds
    FROM unnest(
        CAST(:ids AS bigint[]), CAST(:strategies AS text[]), CAST(:positions AS float8[]),
        CAST(:seconds AS float8[])
    ) AS new (id, strategy, position, seconds)
    WHERE pairs.id = new.id
""")

_LOCK_OUTGROWN = statement(
    """
    SELECT id FROM prompts WHERE project_id = :project_id AND {outgrown}
    ORDER BY id LIMIT :limit FOR NO KEY UPDATE
    """,
    outgrown=OUTGROWN_PROMPT,
)
_DELETE_UNSEEN = statement(
    """
    DELETE FROM pairs WHERE prompt_id = ANY(CAST(:ids AS bigint[])) AND {unseen}
    RETURNING prompt_id
    """,
    unseen=UNSEEN_PAIR,
)
_NO_LONGER_OUTGROWN = text("""
    UPDATE prompts SET pairs_considered = pairs_total WHERE id = ANY(CAST(:ids AS bigint[]))
""")
_OVER_BOUND = statement(
    """
    SELECT DISTINCT pairs.prompt_id
    FROM pairs JOIN prompts ON prompts.id = pairs.prompt_id
    WHERE pairs.project_id = :project_id AND prompts.pairs_planned > :pairs_per_prompt AND {unseen}
    """,
    unseen=UNSEEN_PAIR,
)
_DELETE_OVER_BOUND = statement(
    """
    DELETE FROM pairs USING (
        SELECT id, row_number() OVER (
            PARTITION BY prompt_id ORDER BY ({unseen}), position, id
        ) AS place
        FROM pairs WHERE prompt_id = ANY(CAST(:ids AS bigint[]))
    ) AS placed
    WHERE pairs.id = placed.id AND placed.place > :pairs_per_prompt AND {unseen}
    RETURNING prompt_id
    """,
    unseen=UNSEEN_PAIR,
)
_UPDATE_LABELS_WANTED = statement(
    """
    UPDATE pairs SET labels_wanted = wanted.labels
    FROM (
        SELECT id, CASE WHEN overlap_draw < :overlap_share
            THEN greatest(:labels_per_pair, :overlap_labels) ELSE :labels_per_pair END AS labels
        FROM pairs WHERE project_id = :project_id AND {never_handed_out}
    ) AS wanted
    WHERE pairs.id = wanted.id AND labels_wanted <> wanted.labels AND NOT handed_out
    """,
    never_handed_out=NEVER_HANDED_OUT,
)


async def read_unseen(
    session: AsyncSession, prompt_ids: Collection[int], *, lock: bool = False
) -> dict[int, list[UnseenPair]]:
    """The unseen pairs of these prompts, by prompt.

    With ``lock`` they are locked, and pairs that a claim is just handing out are left out.
    """
    found: dict[int, list[UnseenPair]] = defaultdict(list)
    query = _LOCK_UNSEEN if lock else _READ_UNSEEN
    for row in await session.execute(query, {"ids": list(prompt_ids)}):
        found[row.prompt_id].append(
            UnseenPair(
                id=row.id,
                prompt_id=row.prompt_id,
                responses=(row.first_response_id, row.second_response_id),
                strategy=row.strategy,
                position=row.position,
                expected_seconds=row.expected_seconds,
            )
        )
    return found


async def read_pairs(
    session: AsyncSession, prompt_ids: Collection[int]
) -> dict[int, dict[int, ResponsePair]]:
    """All pairs of these prompts, seen or not, by prompt and by id."""
    found: dict[int, dict[int, ResponsePair]] = defaultdict(dict)
    for row in await session.execute(_PAIRS_OF_PROMPTS, {"ids": list(prompt_ids)}):
        found[row.prompt_id][row.id] = (row.first_response_id, row.second_response_id)
    return found


async def hold_prompts(session: AsyncSession, prompt_ids: Collection[int]) -> set[int]:
    """Keep prompts from being erased until the transaction ends; gives those that exist."""
    return set(await session.scalars(_HOLD_PROMPTS, {"ids": list(prompt_ids)}))


async def delete_pairs(session: AsyncSession, pairs: Collection[UnseenPair]) -> None:
    """Delete pairs that this transaction has locked."""
    if pairs:
        await session.execute(_DELETE, {"ids": [pair.id for pair in pairs]})


async def move_pairs(session: AsyncSession, pairs: Sequence[UnseenPair]) -> None:
    """Write the strategies, positions and prices of pairs that this transaction has locked."""
    if pairs:
        await session.execute(
            _MOVE,
            {
                "ids": [pair.id for pair in pairs],
                "strategies": [pair.strategy for pair in pairs],
                "positions": [pair.position for pair in pairs],
                "seconds": [pair.expected_seconds for pair in pairs],
            },
        )


async def remove_outgrown(session: AsyncSession, project_id: int, limit: int) -> list[int]:
    """Remove the unseen pairs of up to ``limit`` outgrown prompts; gives the prompts.

    Served by ``ix_prompts_outgrown``.
    """
    outgrown = await session.scalars(_LOCK_OUTGROWN, {"project_id": project_id, "limit": limit})
    ids = list(outgrown)
    if ids:
        await _count_removed(session, await session.scalars(_DELETE_UNSEEN, {"ids": ids}))
        await session.execute(_NO_LONGER_OUTGROWN, {"ids": ids})
        await renew_rounds(session, ids)
    return ids


async def apply_settings(session: AsyncSession, project_id: int, settings: PlanSettings) -> int:
    """Make unseen pairs fit the project's settings; gives how many had to leave the plan."""
    await session.execute(
        _UPDATE_LABELS_WANTED,
        {
            "project_id": project_id,
            "overlap_share": settings.overlap_share,
            "labels_per_pair": settings.labels_per_pair,
            "overlap_labels": settings.overlap_labels,
        },
    )
    if settings.pairs_per_prompt is None:
        return 0
    bound = {"pairs_per_prompt": settings.pairs_per_prompt}
    ids = (await session.scalars(_OVER_BOUND, {"project_id": project_id, **bound})).all()
    await lock_prompts(session, ids)
    return await _count_removed(
        session, await session.scalars(_DELETE_OVER_BOUND, {"ids": ids, **bound})
    )


async def _count_removed(session: AsyncSession, prompt_ids: Iterable[int]) -> int:
    """Count the pairs removed, each given by its prompt; gives how many."""
    removed = Counter(prompt_ids)
    await add_to_counts(session, {prompt_id: -pairs for prompt_id, pairs in removed.items()})
    return removed.total()
