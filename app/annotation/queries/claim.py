"""The SQL of a claim: what it starts from, the open pairs of the plan, and handing them out."""

from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from datetime import datetime
from decimal import Decimal
from typing import Any, Final

from sqlalchemy import Row
from sqlalchemy.ext.asyncio import AsyncSession

from app.accounts.service import Principal
from app.annotation.queries.ledger import Totals, write_ledger
from app.storage import predicates
from app.storage.arm import Arm
from app.storage.sql import fill, read_as, statement
from app.storage.tables import Project


@dataclass(frozen=True, slots=True)
class Search:
    """Which open pairs an annotator could get: those of one arm, in the order of the plan."""

    project_id: int
    annotator_id: int
    annotator: str
    arm: Arm
    longest_seconds: float
    """No pair that is expected to take longer."""
    limit: int
    except_ids: Sequence[int] = ()


@dataclass(frozen=True, slots=True)
class OpenPair:
    """A pair of the plan that could be handed out."""

    id: int
    arm: Arm
    expected_seconds: float


@dataclass(frozen=True, slots=True)
class Situation:
    """What a claim starts from: where annotator and project stand, and some open pairs."""

    held: int
    """How many pairs of the project the annotator holds."""
    has_expired_leases: bool
    """Whether anybody's lease in the project is over."""
    pending_prompts: int
    unplanned_prompts: int
    is_active: bool
    """Whether the annotator is."""
    annotator: str
    """The annotator's name, which stays until the transaction ends."""
    first_open: Sequence[OpenPair]
    """The first open pairs of one arm, in the order of the plan."""


@dataclass(frozen=True, slots=True)
class HeldPair:
    """A held assignment with all that its annotator is shown."""

    assignment_id: int
    swapped: bool
    expires_at: datetime
    reserved: Decimal
    pair_id: int
    prompt_id: int
    first_response_id: int
    second_response_id: int
    similarity: float | None
    arm: str
    strategy: str
    propensity: float | None
    content: Any
    tools: Any
    first_text: str
    first_calls: Any
    second_text: str
    second_calls: Any


@dataclass(frozen=True, slots=True)
class Outlook:
    """Why there may be nothing to hand out now, and whether there will be."""

    is_importing: bool
    """Whether an import runs, or has ended without its prompts being planned yet."""
    has_more_to_plan: bool
    has_open_pairs: bool
    """Whether a pair is open that this annotator could get, whatever it costs."""
    seconds_to_next_lapse: float | None
    """Until the next pair that somebody else holds, and this annotator could get, is free."""


@dataclass(frozen=True, slots=True)
class StrategyOutlook:
    """Whether the strategy has more pairs for an annotator, or will have."""

    has_more_to_plan: bool
    has_open_pairs: bool
    """Whether one of its pairs is open that this annotator could get, whatever it costs."""
    has_fitting_pairs: bool
    """Whether one of them is not too long. The planner may have it locked."""


# The annotator's row is locked: a deactivation or a new name waits for this claim. The first then
# frees what it has handed out. Served by ix_assignments_held and ix_assignments_lease.
_STANDING: Final = fill(
    """
    SELECT
        (
            SELECT count(*) FROM assignments
            WHERE annotator_id = :annotator_id AND project_id = :project_id AND {held}
        ) AS held,
        EXISTS (
            SELECT FROM assignments WHERE project_id = :project_id AND {expired}
        ) AS has_expired_leases,
        pending AS pending_prompts, unplanned AS unplanned_prompts,
        annotators.active AS is_active, annotators.name AS annotator
    FROM project_intake, annotators
    WHERE project_id = :project_id AND annotators.id = :annotator_id
    FOR KEY SHARE OF annotators
    """,
    held=predicates.HELD_ASSIGNMENT,
    expired=predicates.EXPIRED_ASSIGNMENT,
)

# Served by ix_pairs_open, and by the unique indexes on pair and annotator. The project's row is
# locked, so no other claim is under way: SKIP LOCKED passes over pairs that the planner is
# removing.
_OPEN_PAIRS: Final = fill(
    """
    SELECT id AS pair_id, arm, expected_seconds, position
    FROM pairs
    WHERE project_id = :project_id AND arm = :arm AND {free_to_claim}
        AND expected_seconds <= :longest_seconds AND id <> ALL(CAST(:except_ids AS bigint[]))
    ORDER BY position, id
    LIMIT :limit
    FOR UPDATE SKIP LOCKED
    """,
    free_to_claim=predicates.FREE_TO_CLAIM,
)

_SITUATION = statement(
    """
    WITH standing AS ({standing}), first_open AS ({open_pairs})
    SELECT held, has_expired_leases, pending_prompts, unplanned_prompts, is_active, annotator,
        pair_id, arm, expected_seconds
    FROM standing LEFT JOIN first_open ON true
    ORDER BY position, pair_id
    """,
    standing=_STANDING,
    open_pairs=_OPEN_PAIRS,
)
_FIND_OPEN_PAIRS = statement(_OPEN_PAIRS)


async def read_situation(session: AsyncSession, search: Search) -> Situation:
    """What a claim starts from, with the first open pairs that the search finds."""
    rows = (await session.execute(_SITUATION, asdict(search))).all()
    standing = rows[0]
    return Situation(
        held=standing.held,
        has_expired_leases=standing.has_expired_leases,
        pending_prompts=standing.pending_prompts,
        unplanned_prompts=standing.unplanned_prompts,
        is_active=standing.is_active,
        annotator=standing.annotator,
        first_open=[_open_pair(row) for row in rows if row.pair_id is not None],
    )


async def find_open_pairs(session: AsyncSession, search: Search) -> list[OpenPair]:
    """The first open pairs that the search finds, in the order of the plan."""
    return [_open_pair(row) for row in await session.execute(_FIND_OPEN_PAIRS, asdict(search))]


def _open_pair(row: Row[Any]) -> OpenPair:
    return OpenPair(row.pair_id, Arm(row.arm), row.expected_seconds)


_HELD_PAIR_COLUMNS: Final = """
    assignments.id AS assignment_id, swapped, expires_at, assignments.reserved,
    pairs.id AS pair_id, pairs.prompt_id, first_response_id, second_response_id,
    similarity, arm, strategy, propensity, content, tools,
    first.text AS first_text, first.tool_calls AS first_calls,
    second.text AS second_text, second.tool_calls AS second_calls
"""
_HELD_PAIR_TABLES: Final = """
    assignments
    JOIN pairs ON pairs.id = assignments.pair_id
    JOIN prompts ON prompts.id = pairs.prompt_id
    JOIN responses AS first ON first.id = first_response_id
    JOIN responses AS second ON second.id = second_response_id
"""

# The side is drawn once, and kept when the pair comes back to its annotator. Two CTEs are named
# like the tables that they change: the last SELECT reads the rows as they are now.
_HAND_OUT = statement(
    """
    WITH picked AS (
        SELECT * FROM unnest(CAST(:pair_ids AS bigint[]), CAST(:costs AS numeric[]))
        WITH ORDINALITY AS picked (pair_id, cost, place)
    ), pairs AS (
        UPDATE pairs SET held = held + 1, handed_out = true
        FROM picked WHERE pairs.id = picked.pair_id
        RETURNING pairs.*
    ), assignments AS (
        INSERT INTO assignments (
            project_id, pair_id, annotator_id, swapped, status, lease_seconds, expires_at, reserved
        )
        SELECT
            :project_id, pair_id, :annotator_id, random() < 0.5, 'held', :lease_seconds,
            clock_timestamp() + make_interval(secs => :lease_seconds), cost
        FROM picked
        ORDER BY place
        ON CONFLICT (pair_id, annotator_id) DO UPDATE
        SET status = 'held', lease_seconds = excluded.lease_seconds,
            expires_at = excluded.expires_at, reserved = excluded.reserved
        RETURNING *
    ), changes AS (
        SELECT 'reserve' AS kind, id AS assignment_id, NULL::bigint AS label_id, 0 AS spent,
            reserved, id AS place
        FROM assignments
    ), {write_ledger}
    SELECT total_spent, total_reserved, {columns}
    FROM {tables} CROSS JOIN totals
    ORDER BY assignments.id
    """,
    write_ledger=write_ledger(
        counters="strategy_assigned = strategy_assigned + :strategy,"
        " exploration_assigned = exploration_assigned + :exploration,"
    ),
    columns=_HELD_PAIR_COLUMNS,
    tables=_HELD_PAIR_TABLES,
)


async def hand_out(
    session: AsyncSession,
    project_id: int,
    annotator_id: int,
    costs: Mapping[OpenPair, Decimal],
    *,
    lease_seconds: int,
) -> tuple[list[HeldPair], Totals]:
    """Hold these pairs and reserve their costs; what the annotator is shown, and the totals.

    There is at least one pair; the project's row is locked.
    """
    explored = sum(pair.arm is Arm.EXPLORATION for pair in costs)
    handed = await session.execute(
        _HAND_OUT,
        {
            "project_id": project_id,
            "annotator_id": annotator_id,
            "lease_seconds": lease_seconds,
            "pair_ids": [pair.id for pair in costs],
            "costs": list(costs.values()),
            "strategy": len(costs) - explored,
            "exploration": explored,
        },
    )
    rows = handed.all()
    return [read_as(HeldPair, row) for row in rows], read_as(Totals, rows[0])


# Prompts have a status too, so the condition stands where only assignments are read.
_HELD_PAIRS = statement(
    """
    SELECT {columns}
    FROM (
        SELECT * FROM assignments
        WHERE annotator_id = :annotator_id AND project_id = :project_id AND {held}
    ) AS {tables}
    ORDER BY assignments.id
    LIMIT :limit
    """,
    held=predicates.HELD_ASSIGNMENT,
    columns=_HELD_PAIR_COLUMNS,
    tables=_HELD_PAIR_TABLES,
)


async def held_pairs(
    session: AsyncSession, project_id: int, annotator_id: int, *, limit: int
) -> list[HeldPair]:
    """What an annotator holds, in the order in which it was first handed out.

    Served by ``ix_assignments_held``.
    """
    parameters = {"project_id": project_id, "annotator_id": annotator_id, "limit": limit}
    return [read_as(HeldPair, row) for row in await session.execute(_HELD_PAIRS, parameters)]


# Ordered as the indexes are: for EXISTS, PostgreSQL may prefer to read a whole table for one row.
# With the arm given, the index ends the search at the bound of pairs per prompt.
_PLANNABLE: Final = """
    SELECT true FROM prompts
    WHERE project_id = :project_id AND exploration = {exploration} AND {plannable}
        AND pairs_planned < :pairs_per_prompt
    ORDER BY exploration, pairs_planned, near_duplicate, order_key, id LIMIT 1
"""
_MORE_TO_PLAN: Final = fill(
    "coalesce(({strategy}), ({exploration})) IS NOT NULL",
    strategy=fill(_PLANNABLE, exploration="false", plannable=predicates.PLANNABLE_PROMPT),
    exploration=fill(_PLANNABLE, exploration="true", plannable=predicates.PLANNABLE_PROMPT),
)
_OUTLOOK = statement(
    """
    SELECT
        EXISTS (SELECT FROM imports WHERE project_id = :project_id) AS is_importing,
        {more_to_plan} AS has_more_to_plan,
        (
            SELECT true FROM pairs
            WHERE project_id = :project_id AND {free_to_claim}
            ORDER BY arm, position, id LIMIT 1
        ) IS NOT NULL AS has_open_pairs,
        (
            SELECT extract(epoch FROM held.expires_at - clock_timestamp())::float8
            FROM assignments AS held JOIN pairs ON pairs.id = held.pair_id
            WHERE held.project_id = :project_id AND {held} AND {not_taken}
            ORDER BY held.expires_at LIMIT 1
        ) AS seconds_to_next_lapse
    """,
    more_to_plan=_MORE_TO_PLAN,
    free_to_claim=predicates.FREE_TO_CLAIM,
    held=predicates.HELD_ASSIGNMENT,
    not_taken=predicates.NOT_TAKEN_BY_ANNOTATOR,
)
_ANY_NUMBER: Final = 2**31 - 1


async def read_outlook(session: AsyncSession, project: Project, principal: Principal) -> Outlook:
    """What an annotator for whom there is nothing now may hope for.

    Served by ``ix_prompts_plannable``, ``ix_pairs_open`` and ``ix_assignments_lease``.
    """
    parameters = {
        "project_id": project.id,
        "pairs_per_prompt": project.pairs_per_prompt or _ANY_NUMBER,
        "annotator_id": principal.id,
        "annotator": principal.name,
    }
    return read_as(Outlook, (await session.execute(_OUTLOOK, parameters)).one())


_FIRST_OPEN: Final = """
    SELECT true FROM pairs
    WHERE project_id = :project_id AND arm = :arm AND {free_to_claim} AND {bound}
        AND id <> ALL(CAST(:except_ids AS bigint[]))
    ORDER BY position, id LIMIT {limit}
"""
_STRATEGY_OUTLOOK = statement(
    """
    SELECT
        {more_to_plan} AS has_more_to_plan,
        ({open}) IS NOT NULL AS has_open_pairs,
        ({fitting}) IS NOT NULL AS has_fitting_pairs
    """,
    more_to_plan=_MORE_TO_PLAN,
    open=fill(_FIRST_OPEN, free_to_claim=predicates.FREE_TO_CLAIM, bound="true", limit="1"),
    fitting=fill(
        _FIRST_OPEN,
        free_to_claim=predicates.FREE_TO_CLAIM,
        bound="expected_seconds <= :longest_seconds",
        limit="least(:limit, 1)",
    ),
)


async def read_strategy_outlook(
    session: AsyncSession, project: Project, search: Search
) -> StrategyOutlook:
    """What a search in the strategy's arm may hope for, all at one instant.

    Served by ``ix_prompts_plannable`` and ``ix_pairs_open``.
    """
    bound = {"pairs_per_prompt": project.pairs_per_prompt or _ANY_NUMBER}
    found = await session.execute(_STRATEGY_OUTLOOK, asdict(search) | bound)
    return read_as(StrategyOutlook, found.one())
