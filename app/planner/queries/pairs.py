"""SQL of the planner over pairs, and over the prompts that they are chosen from."""

from collections import Counter, defaultdict
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass

import numpy as np
from sqlalchemy import text
from sqlalchemy.ext.asyncio import AsyncSession

from app.embedding.unit import from_bytes
from app.planner.queries.outlook import UNTOUCHED
from app.preference.service import count_response_words
from app.selection.arrays import FloatArray
from app.selection.candidates import PromptCandidate
from app.storage.sql import lock_prompts
from app.vectors.stored import prompt_vectors

_ANY_NUMBER = 2**31 - 1


@dataclass(frozen=True, slots=True)
class PlannablePrompt:
    """A prompt with pairs that are not in the plan."""

    id: int
    exploration: bool
    pairs_planned: int
    near_duplicate: bool
    order_key: float
    pairs_total: int


@dataclass(frozen=True, slots=True)
class NewPair:
    """A pair that enters the plan."""

    prompt_id: int
    first_response_id: int
    second_response_id: int
    similarity: float | None
    arm: str
    strategy: str
    propensity: float | None
    position: float
    expected_seconds: float
    labels_wanted: int
    overlap_draw: float


_ARRIVED = """
    SELECT id, exploration, pairs_planned, near_duplicate, order_key, pairs_total FROM prompts
    WHERE project_id = :project_id AND exploration = :exploration
      AND status = 'ready' AND group_id IS NOT NULL
"""
_PLANNABLE = _ARRIVED + "AND pairs_planned < pairs_total AND pairs_planned < :most "
_NEXT_BY_ROUND = text(
    _PLANNABLE + "ORDER BY exploration, pairs_planned, near_duplicate, order_key, id LIMIT :limit"
)
_NEXT_BY_ROUND_UNIFORMLY = text(
    _PLANNABLE + "ORDER BY exploration, pairs_planned, order_key, id LIMIT :limit"
)
_BY_ID = "AND id > :after ORDER BY id LIMIT :limit"
_NEXT_BY_ID = text(_PLANNABLE + _BY_ID)
_ANY_BY_ID = text(_ARRIVED + _BY_ID)
_OF_IDS = text(_PLANNABLE + "AND id = ANY(CAST(:ids AS bigint[])) ORDER BY id")

_VECTORS = text("""
    SELECT responses.prompt_id, responses.id, response_embeddings.vector
    FROM responses JOIN response_embeddings ON response_embeddings.response_id = responses.id
    WHERE responses.prompt_id = ANY(CAST(:ids AS bigint[]))
    ORDER BY responses.prompt_id, responses.id
""")
_TAKEN = text("""
    SELECT prompt_id, first_response_id, second_response_id FROM pairs
    WHERE prompt_id = ANY(CAST(:ids AS bigint[]))
""")
_TOUCHED = text(f"""
    SELECT prompt_id, first_response_id, second_response_id FROM pairs
    WHERE prompt_id = ANY(CAST(:ids AS bigint[])) AND NOT ({UNTOUCHED})
""")  # noqa: S608 - put together from the constants above
_COUNT_UNTOUCHED = text("""
    SELECT count(*) FROM (
        SELECT FROM pairs
        WHERE project_id = :project_id AND arm = 'strategy' AND open AND NOT handed_out
        LIMIT :limit
    ) AS untouched
""")
_INSERT = text("""
    INSERT INTO pairs (
        project_id, prompt_id, first_response_id, second_response_id, similarity, arm, strategy,
        propensity, position, expected_seconds, labels_wanted, overlap_draw
    )
    SELECT :project_id, new.* FROM unnest(
        CAST(:prompt_id AS bigint[]), CAST(:first_response_id AS bigint[]),
        CAST(:second_response_id AS bigint[]), CAST(:similarity AS float8[]),
        CAST(:arm AS text[]), CAST(:strategy AS text[]), CAST(:propensity AS float8[]),
        CAST(:position AS float8[]), CAST(:expected_seconds AS float8[]),
        CAST(:labels_wanted AS smallint[]), CAST(:overlap_draw AS float8[])
    ) AS new
    ON CONFLICT DO NOTHING
    RETURNING prompt_id
""")
_COUNT_PAIRS = text("""
    UPDATE prompts SET pairs_planned = pairs_planned + new.pairs
    FROM unnest(CAST(:ids AS bigint[]), CAST(:pairs AS integer[])) AS new (id, pairs)
    WHERE prompts.id = new.id
""")
_RECOUNT = text("""
    UPDATE prompts
    SET pairs_planned = (SELECT count(*) FROM pairs WHERE pairs.prompt_id = prompts.id)
    WHERE id = ANY(CAST(:ids AS bigint[]))
""")


async def next_by_round(
    session: AsyncSession,
    project_id: int,
    most: int | None,
    *,
    near_duplicates_last: bool,
    limit: int,
) -> list[PlannablePrompt]:
    """The prompts whose next pairs come next; exploration prompts when there is no other.

    Served by ``ix_prompts_plannable``.
    """
    statement = _NEXT_BY_ROUND if near_duplicates_last else _NEXT_BY_ROUND_UNIFORMLY
    for exploration in (False, True):
        parameters = {
            "project_id": project_id,
            "exploration": exploration,
            "most": _ANY_NUMBER if most is None else most,
            "limit": limit,
        }
        rows = (await session.execute(statement, parameters)).all()
        if rows:
            return [PlannablePrompt(*row) for row in rows]
    return []


async def next_by_id(
    session: AsyncSession,
    project_id: int,
    most: int | None,
    *,
    exploration: bool,
    after: int,
    limit: int,
    anew: bool = False,
) -> list[PlannablePrompt]:
    """Prompts with pairs that are not in the plan, a page at a time. Served by the primary key.

    With ``anew`` all prompts: the pairs that are in the plan may leave it.
    """
    parameters: dict[str, object] = {
        "project_id": project_id,
        "exploration": exploration,
        "after": after,
        "limit": limit,
    }
    if not anew:
        parameters["most"] = _ANY_NUMBER if most is None else most
    statement = _ANY_BY_ID if anew else _NEXT_BY_ID
    return [PlannablePrompt(*row) for row in await session.execute(statement, parameters)]


async def plannable_among(
    session: AsyncSession, project_id: int, most: int | None, prompt_ids: Collection[int]
) -> list[PlannablePrompt]:
    """Those of the prompts that have pairs which are not in the plan; no exploration prompts."""
    parameters = {
        "project_id": project_id,
        "exploration": False,
        "most": _ANY_NUMBER if most is None else most,
        "ids": list(prompt_ids),
    }
    return [PlannablePrompt(*row) for row in await session.execute(_OF_IDS, parameters)]


async def read_candidates(
    session: AsyncSession,
    prompts: Sequence[PlannablePrompt],
    dimensions: int,
    *,
    with_prompts: bool = False,
    with_words: bool = False,
    free_untouched: bool = False,
) -> list[PromptCandidate]:
    """The prompts with their responses' vectors and the pairs that are taken.

    Args:
        session: reads.
        prompts: at least two of whose responses have vectors, or they are left out.
        dimensions: of the vectors.
        with_prompts: read the prompts' own vectors too.
        with_words: count the responses' words too.
        free_untouched: pairs that the planner may take out of the plan count as not taken.
    """
    ids = [prompt.id for prompt in prompts]
    rows = (await session.execute(_VECTORS, {"ids": ids})).all()
    vectors = from_bytes([row.vector for row in rows], dimensions)
    places: dict[int, list[int]] = defaultdict(list)
    for place, row in enumerate(rows):
        places[row.prompt_id].append(place)
    embedded = {row.id for row in rows}
    taken: dict[int, list[tuple[int, int]]] = defaultdict(list)
    rounds: Counter[int] = Counter()
    taken_pairs = _TOUCHED if free_untouched else _TAKEN
    for prompt_id, first, second in await session.execute(taken_pairs, {"ids": ids}):
        rounds[prompt_id] += 1
        if first in embedded and second in embedded:
            taken[prompt_id].append((first, second))
    of_prompts: Mapping[int, FloatArray] = {}
    if with_prompts:
        of_prompts = (await prompt_vectors(session, np.array(ids), dimensions)).by_id()
    words = await count_response_words(session, embedded) if with_words else {}
    return [
        PromptCandidate(
            prompt_id=prompt.id,
            response_ids=[rows[place].id for place in places[prompt.id]],
            embeddings=vectors[places[prompt.id]],
            taken=taken[prompt.id],
            round=rounds[prompt.id] if free_untouched else prompt.pairs_planned,
            near_duplicate=prompt.near_duplicate,
            order_key=prompt.order_key,
            prompt_embedding=of_prompts.get(prompt.id),
            words=[words.get(rows[place].id, 0) for place in places[prompt.id]]
            if with_words
            else None,
        )
        for prompt in prompts
        if len(places[prompt.id]) > 1
    ]


async def read_vectors_of(session: AsyncSession, prompt_ids: Collection[int]) -> dict[int, bytes]:
    """The stored vectors of the prompts' responses, by response."""
    rows = await session.execute(_VECTORS, {"ids": list(prompt_ids)})
    return {row.id: row.vector for row in rows}


async def count_untouched(session: AsyncSession, project_id: int, limit: int) -> int:
    """How many open pairs of the strategy nobody has seen, ``limit`` at most."""
    parameters = {"project_id": project_id, "limit": limit}
    return int((await session.execute(_COUNT_UNTOUCHED, parameters)).scalar_one())


async def insert_pairs(session: AsyncSession, project_id: int, pairs: Sequence[NewPair]) -> int:
    """Put pairs into the plan; those that are there already stay as they are.

    Pairs before prompts, both in the order of their numbers, as whoever else adds pairs does it.
    """
    inserted = await add_rows(session, project_id, pairs)
    await count_pairs(session, inserted)
    return inserted.total()


async def add_rows(
    session: AsyncSession, project_id: int, pairs: Sequence[NewPair]
) -> Counter[int]:
    """The rows of ``insert_pairs`` alone; gives how many each prompt got, for ``count_pairs``."""
    if not pairs:
        return Counter()
    ordered = sorted(
        pairs, key=lambda pair: (pair.prompt_id, pair.first_response_id, pair.second_response_id)
    )
    columns = {name: [getattr(pair, name) for pair in ordered] for name in NewPair.__slots__}
    return Counter(await session.scalars(_INSERT, {"project_id": project_id, **columns}))


async def count_pairs(session: AsyncSession, changes: Mapping[int, int]) -> None:
    """Note at prompts by how many pairs in the plan they have more, or fewer."""
    changed = {prompt_id: pairs for prompt_id, pairs in changes.items() if pairs}
    if changed:
        await lock_prompts(session, changed)
        parameters = {"ids": list(changed), "pairs": list(changed.values())}
        await session.execute(_COUNT_PAIRS, parameters)


async def recount_pairs(session: AsyncSession, prompt_ids: Collection[int]) -> None:
    """Count anew the pairs of prompts that turned out to have none left to plan."""
    if prompt_ids:
        await lock_prompts(session, prompt_ids)
        await session.execute(_RECOUNT, {"ids": list(prompt_ids)})
