"""SQL over the prompts that pairs are chosen from."""

from collections import Counter, defaultdict
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from sqlalchemy import TextClause, text
from sqlalchemy.ext.asyncio import AsyncSession

from app.embedding.unit import from_bytes
from app.planner.queries.outlook import Outlook
from app.preference.service import count_response_words
from app.selection.arrays import FloatArray
from app.selection.candidates import PromptCandidate
from app.storage.predicates import (
    ARRIVED_PROMPT,
    FRESH_PROMPT,
    OF_AUTOMATIC_LABELS,
    PLANNABLE_PROMPT,
    UNSEEN_PAIR,
)
from app.storage.sql import read_as, statement
from app.vectors.stored import prompt_vectors, response_styles


@dataclass(frozen=True, slots=True)
class PlannablePrompt:
    """A prompt that pairs can be chosen from."""

    id: int
    exploration: bool
    pairs_planned: int
    near_duplicate: bool
    order_key: float
    pairs_total: int
    next_round: int = 1
    next_place: int = 0

    @property
    def turn(self) -> int:
        """How many of its pairs come before the next one, as positions have it."""
        return self.pairs_planned if self.next_round == 1 else self.next_place


_COLUMNS = (
    "prompts.id, exploration, pairs_planned, near_duplicate, order_key, pairs_total, next_round,"
    " next_place"
)

# ``:pairs_per_prompt`` is NULL where a prompt may have all of its pairs in the plan.
_WITHIN_BOUND = "pairs_planned < coalesce(CAST(:pairs_per_prompt AS integer), 2147483647)"
_WITH_ROOM = f"{PLANNABLE_PROMPT} AND {_WITHIN_BOUND}"
_BY_ROUND = """
    SELECT {columns}
    FROM prompts
    WHERE project_id = :project_id AND exploration = :exploration AND {with_room}
    ORDER BY {order}
    LIMIT :limit
"""
_NEXT_BY_ROUND = statement(
    _BY_ROUND,
    columns=_COLUMNS,
    with_room=_WITH_ROOM,
    order="exploration, pairs_planned, near_duplicate, order_key, id",
)
_NEXT_BY_ROUND_UNIFORMLY = statement(
    _BY_ROUND,
    columns=_COLUMNS,
    with_room=_WITH_ROOM,
    order="exploration, pairs_planned, order_key, id",
)
_NEXT_FRESH = statement(
    """
    SELECT {columns}
    FROM prompts
    WHERE project_id = :project_id AND {fresh} AND {within_bound}
    ORDER BY next_round DESC, exploration, next_place, near_duplicate, order_key, id
    LIMIT :limit
    """,
    columns=_COLUMNS,
    fresh=FRESH_PROMPT,
    within_bound=_WITHIN_BOUND,
)
_BY_ID = """
    SELECT {columns}
    FROM prompts
    WHERE project_id = :project_id AND exploration = :exploration AND id > :after AND {condition}
    ORDER BY id
    LIMIT :limit
"""
_ARRIVED_BY_ID = statement(_BY_ID, columns=_COLUMNS, condition=ARRIVED_PROMPT)
_PLANNABLE_BY_ID = statement(_BY_ID, columns=_COLUMNS, condition=_WITH_ROOM)
_PLANNABLE_AMONG = statement(
    """
    SELECT {columns}
    FROM prompts
    WHERE project_id = :project_id AND NOT exploration AND id = ANY(CAST(:ids AS bigint[]))
      AND {with_room}
    ORDER BY id
    """,
    columns=_COLUMNS,
    with_room=_WITH_ROOM,
)
_WITH_UNSEEN_PAIRS = statement(
    """
    SELECT {columns}
    FROM (
        SELECT prompt_id, count(*) AS pairs FROM pairs
        WHERE project_id = :project_id AND {unseen}
        GROUP BY prompt_id
    ) AS unseen
    JOIN prompts ON prompts.id = unseen.prompt_id
    ORDER BY exploration, latest_round DESC, pairs_planned - unseen.pairs, near_duplicate,
        order_key, prompts.id
    """,
    columns=_COLUMNS,
    unseen=UNSEEN_PAIR,
)

# Of a prompt that an import is adding to, only the k responses that were there when its pairs were
# chosen: position p is one of the first k where p(p + 1)/2 <= k(k - 1)/2.
_RESPONSES = text("""
    SELECT responses.prompt_id, responses.id, responses.round, response_embeddings.vector
    FROM responses JOIN response_embeddings ON response_embeddings.response_id = responses.id
    JOIN prompts ON prompts.id = responses.prompt_id
    WHERE responses.prompt_id = ANY(CAST(:ids AS bigint[]))
      AND (prompts.import_id IS NULL
        OR responses.position * (responses.position + 1) / 2 <= prompts.pairs_considered)
    ORDER BY responses.prompt_id, responses.id
""")
_PAIRS = statement(
    """
    SELECT prompt_id, first_response_id, second_response_id FROM pairs
    WHERE prompt_id = ANY(CAST(:ids AS bigint[])) AND NOT ({automatic})
    """,
    automatic=OF_AUTOMATIC_LABELS,
)
_SEEN_PAIRS = statement(
    """
    SELECT prompt_id, first_response_id, second_response_id FROM pairs
    WHERE prompt_id = ANY(CAST(:ids AS bigint[])) AND NOT ({unseen})
        AND NOT ({automatic})
    """,
    unseen=UNSEEN_PAIR,
    automatic=OF_AUTOMATIC_LABELS,
)


async def _read_prompts(
    session: AsyncSession, query: TextClause, project: Outlook, **parameters: Any
) -> list[PlannablePrompt]:
    of_project = {
        "project_id": project.project_id,
        "pairs_per_prompt": project.settings.pairs_per_prompt,
    }
    rows = await session.execute(query, of_project | parameters)
    return [read_as(PlannablePrompt, row) for row in rows]


async def next_by_round(
    session: AsyncSession, project: Outlook, *, near_duplicates_last: bool, limit: int
) -> list[PlannablePrompt]:
    """The prompts whose next pairs come next; exploration prompts when there is no other.

    Served by ``ix_prompts_plannable``.
    """
    query = _NEXT_BY_ROUND if near_duplicates_last else _NEXT_BY_ROUND_UNIFORMLY
    return await _read_prompts(
        session, query, project, exploration=False, limit=limit
    ) or await _read_prompts(session, query, project, exploration=True, limit=limit)


async def next_fresh(
    session: AsyncSession, project: Outlook, *, limit: int
) -> list[PlannablePrompt]:
    """The prompts whose next pairs are of the latest round, where that is not the first.

    Exploration prompts are given when there is no other. Served by ``ix_prompts_fresh``.
    """
    found = await _read_prompts(session, _NEXT_FRESH, project, limit=limit)
    first = found[0] if found else None
    return [
        each
        for each in found
        if first is not None
        and (each.next_round, each.exploration) == (first.next_round, first.exploration)
    ]


async def next_by_id(
    session: AsyncSession,
    project: Outlook,
    *,
    exploration: bool,
    after: int,
    limit: int,
    ignore_unseen: bool,
) -> list[PlannablePrompt]:
    """A page of prompts with pairs that are not in the plan. Served by the primary key.

    With ``ignore_unseen`` all prompts: their unseen pairs may leave the plan.
    """
    query = _ARRIVED_BY_ID if ignore_unseen else _PLANNABLE_BY_ID
    return await _read_prompts(
        session, query, project, exploration=exploration, after=after, limit=limit
    )


async def plannable_among(
    session: AsyncSession, project: Outlook, prompt_ids: Collection[int]
) -> list[PlannablePrompt]:
    """Those of the prompts that have pairs outside the plan; exploration prompts are left out."""
    return await _read_prompts(session, _PLANNABLE_AMONG, project, ids=list(prompt_ids))


async def find_renewable(session: AsyncSession, project_id: int) -> list[PlannablePrompt]:
    """The prompts with unseen pairs, in the order of the plan. Served by ``ix_pairs_untouched``."""
    rows = await session.execute(_WITH_UNSEEN_PAIRS, {"project_id": project_id})
    return [read_as(PlannablePrompt, row) for row in rows]


async def read_candidates(
    session: AsyncSession,
    prompts: Sequence[PlannablePrompt],
    dimensions: int,
    *,
    with_prompts: bool = False,
    with_words: bool = False,
    with_style: bool = False,
    ignore_unseen: bool = False,
) -> list[PromptCandidate]:
    """The prompts with their responses' vectors and the pairs that are taken.

    Args:
        session: reads.
        prompts: those with fewer than two embedded responses are left out.
        dimensions: of the vectors.
        with_prompts: read the prompts' own vectors too.
        with_words: count the responses' words too.
        with_style: read the responses' style too.
        ignore_unseen: unseen pairs of the plan count as not taken.
    """
    ids = [prompt.id for prompt in prompts]
    responses = (await session.execute(_RESPONSES, {"ids": ids})).all()
    vectors = from_bytes([row.vector for row in responses], dimensions)
    places: dict[int, list[int]] = defaultdict(list)
    for place, row in enumerate(responses):
        places[row.prompt_id].append(place)
    later = {row.prompt_id for row in responses if row.round > 1}
    rounds_of = {each: [responses[place].round for place in places[each]] for each in later}
    embedded = {row.id for row in responses}
    taken: dict[int, list[tuple[int, int]]] = defaultdict(list)
    rounds: Counter[int] = Counter()
    for pair in await session.execute(_SEEN_PAIRS if ignore_unseen else _PAIRS, {"ids": ids}):
        rounds[pair.prompt_id] += 1
        if pair.first_response_id in embedded and pair.second_response_id in embedded:
            taken[pair.prompt_id].append((pair.first_response_id, pair.second_response_id))
    of_prompts: Mapping[int, FloatArray] = {}
    if with_prompts:
        of_prompts = (await prompt_vectors(session, np.array(ids), dimensions)).by_id()
    words = await count_response_words(session, embedded) if with_words else {}
    styles = None
    if with_style:
        styles = await response_styles(session, np.array([row.id for row in responses]))
    return [
        PromptCandidate(
            prompt_id=prompt.id,
            response_ids=[responses[place].id for place in places[prompt.id]],
            response_rounds=rounds_of.get(prompt.id),
            embeddings=vectors[places[prompt.id]],
            taken=taken[prompt.id],
            round=rounds[prompt.id] if ignore_unseen else prompt.pairs_planned,
            near_duplicate=prompt.near_duplicate,
            order_key=prompt.order_key,
            prompt_embedding=of_prompts.get(prompt.id),
            words=[words.get(responses[place].id, 0) for place in places[prompt.id]]
            if with_words
            else None,
            style=None if styles is None else styles[places[prompt.id]],
        )
        for prompt in prompts
        if len(places[prompt.id]) > 1
    ]
