"""SQL that replaces pairs of the plan which nobody has seen by others."""

from collections import defaultdict
from collections.abc import Collection, Sequence
from dataclasses import dataclass

from sqlalchemy import text
from sqlalchemy.ext.asyncio import AsyncSession

from app.planner.queries.outlook import UNTOUCHED
from app.planner.queries.pairs import PlannablePrompt

Responses = tuple[int, int]
"""The two of a pair, the lower number first."""


@dataclass(frozen=True, slots=True)
class PlannedPair:
    """A pair in the plan that nobody has seen."""

    id: int
    prompt_id: int
    responses: Responses
    strategy: str
    position: float
    expected_seconds: float


_RENEWABLE = text(f"""
    SELECT prompts.id, exploration, pairs_planned, near_duplicate, order_key, pairs_total
    FROM (
        SELECT prompt_id, count(*) AS pairs FROM pairs
        WHERE project_id = :project_id AND {UNTOUCHED}
        GROUP BY prompt_id
    ) AS untouched
    JOIN prompts ON prompts.id = untouched.prompt_id
    ORDER BY exploration, pairs_planned - untouched.pairs, near_duplicate, order_key, prompts.id
""")  # noqa: S608 - put together from the constants above
_UNTOUCHED_OF = f"""
    SELECT id, prompt_id, first_response_id, second_response_id, strategy, position,
        expected_seconds
    FROM pairs
    WHERE prompt_id = ANY(CAST(:ids AS bigint[])) AND {UNTOUCHED}
    ORDER BY prompt_id, first_response_id, second_response_id
"""  # noqa: S608 - as above
_READ_UNTOUCHED = text(_UNTOUCHED_OF)
_HOLD_UNTOUCHED = text(_UNTOUCHED_OF + "FOR UPDATE SKIP LOCKED")
_ALL_OF = text("""
    SELECT id, prompt_id, first_response_id, second_response_id FROM pairs
    WHERE prompt_id = ANY(CAST(:ids AS bigint[]))
""")
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


async def find_renewable(session: AsyncSession, project_id: int) -> list[PlannablePrompt]:
    """The prompts with pairs that nobody has seen, in the order of the plan.

    Served by ``ix_pairs_untouched``.
    """
    rows = await session.execute(_RENEWABLE, {"project_id": project_id})
    return [PlannablePrompt(*row) for row in rows]


async def read_untouched(
    session: AsyncSession, prompt_ids: Collection[int], *, hold: bool = False
) -> dict[int, list[PlannedPair]]:
    """The pairs of these prompts that nobody has seen, by prompt.

    With ``hold`` they are locked until the transaction ends, but for those that a claim is handing
    out just now, which are left out.
    """
    statement = _HOLD_UNTOUCHED if hold else _READ_UNTOUCHED
    found: dict[int, list[PlannedPair]] = defaultdict(list)
    for row in await session.execute(statement, {"ids": list(prompt_ids)}):
        pair = PlannedPair(row[0], row[1], (row[2], row[3]), *row[4:])
        found[pair.prompt_id].append(pair)
    return found


async def read_pairs(
    session: AsyncSession, prompt_ids: Collection[int]
) -> dict[int, dict[int, Responses]]:
    """All pairs of these prompts in the plan, or that were, by prompt and by number."""
    found: dict[int, dict[int, Responses]] = defaultdict(dict)
    for pair_id, prompt_id, first, second in await session.execute(
        _ALL_OF, {"ids": list(prompt_ids)}
    ):
        found[prompt_id][pair_id] = (first, second)
    return found


async def hold_prompts(session: AsyncSession, prompt_ids: Collection[int]) -> set[int]:
    """Keep prompts from being erased until the transaction ends; gives those that are there."""
    return set(await session.scalars(_HOLD_PROMPTS, {"ids": list(prompt_ids)}))


async def delete_pairs(session: AsyncSession, pairs: Collection[PlannedPair]) -> None:
    """Take out pairs that this transaction holds."""
    if pairs:
        await session.execute(_DELETE, {"ids": [pair.id for pair in pairs]})


async def move_pairs(session: AsyncSession, pairs: Sequence[PlannedPair]) -> None:
    """Give pairs that this transaction holds the strategies, positions and prices said here."""
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
