"""SQL of rounds: of which round the next pair of a prompt will be.

A pair belongs to the older round of its two responses. Pairs of a later round come before all of
the earlier ones.
"""

from collections.abc import Collection

from sqlalchemy.ext.asyncio import AsyncSession

from app.storage.predicates import OF_AUTOMATIC_LABELS
from app.storage.sql import statement

# Only prompts with responses of several rounds are looked at, each with at most 2016 pairs.
_RENEW = statement(
    """
    UPDATE prompts SET next_round = found.round, next_place = found.planned
    FROM (
        SELECT DISTINCT ON (prompt_id) prompt_id, round, planned
        FROM (
            SELECT first.prompt_id, least(first.round, second.round) AS round,
                count(pairs.id) AS planned, bool_or(pairs.id IS NULL) AS is_open
            FROM prompts AS several
            JOIN responses AS first ON first.prompt_id = several.id
            JOIN responses AS second
                ON second.prompt_id = first.prompt_id AND second.id > first.id
            LEFT JOIN pairs ON pairs.prompt_id = first.prompt_id
                AND pairs.first_response_id = first.id AND pairs.second_response_id = second.id
                AND NOT ({automatic})
            WHERE several.id = ANY(CAST(:ids AS bigint[])) AND several.latest_round > 1
            GROUP BY 1, 2
        ) AS of_rounds
        WHERE is_open
        ORDER BY prompt_id, round DESC
    ) AS found
    WHERE prompts.id = found.prompt_id
    """,
    automatic=OF_AUTOMATIC_LABELS,
)


async def renew_rounds(session: AsyncSession, prompt_ids: Collection[int]) -> None:
    """Note the rounds of the next pairs, after the pairs or the responses of prompts have changed.

    The caller has locked the prompts. Those whose pairs are all planned keep what they had.
    """
    if prompt_ids:
        await session.execute(_RENEW, {"ids": list(prompt_ids)})
