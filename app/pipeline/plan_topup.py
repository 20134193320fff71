"""Keep some thousands of pairs in the plan, waiting to be handed out.

The nearer half of the plan is always what it would be if all pairs were in it; the rest is filled
up when the plan gets shorter than that.
"""

import asyncio
import heapq
import math

from sqlalchemy.ext.asyncio import AsyncSession

from app.pipeline import plan_pair_queries as queries
from app.pipeline.plan_choice import Choice, choose_pairs
from app.pipeline.plan_pair_queries import PlannablePrompt
from app.pipeline.plan_pairs import ChosenPair, price
from app.pipeline.plan_queries import Outlook
from app.selection.ordering import earliest_position
from app.selection.strategy import Strategy
from app.settings import MAX_RESPONSES, PLAN_AHEAD
from app.storage.sessions import Sessions

_MOST_PROMPTS = 512
_FEWEST_PROMPTS = 16
_VECTOR_BYTES = 256 * 1024 * 1024
_FLOAT_BYTES = 4


def page_size(dimensions: int) -> int:
    """How many prompts are looked at together, so that their vectors stay within bounds."""
    bound = _VECTOR_BYTES // (dimensions * _FLOAT_BYTES * MAX_RESPONSES)
    return max(_FEWEST_PROMPTS, min(_MOST_PROMPTS, bound))


async def top_up_by_round(
    session: AsyncSession, project: Outlook, strategy: Strategy, *, fill: bool
) -> int:
    """Plan the next pairs of the next prompts; gives how many pairs entered the plan.

    With ``fill`` until the plan holds ``PLAN_AHEAD``, else only what stands before the horizon.
    """
    assert project.dimensions is not None
    wanted = limit = page_size(project.dimensions)
    if fill:
        wanted = PLAN_AHEAD - await queries.count_untouched(session, project.project_id, PLAN_AHEAD)
        limit = min(limit, wanted)
    prompts = await queries.next_by_round(
        session,
        project.project_id,
        project.settings.pairs_per_prompt,
        near_duplicates_last=strategy.near_duplicates_last,
        limit=limit,
    )
    if not fill:
        prompts = [prompt for prompt in prompts if _stands_before(project, strategy, prompt)]
    if not prompts:
        return 0
    # A short page holds all prompts there are: their rounds can be planned together.
    per_prompt = 1 if len(prompts) == limit or not fill else math.ceil(wanted / len(prompts))
    chosen = await _choose(
        session,
        project,
        prompts,
        per_prompt=per_prompt,
        last=prompts[0].exploration,
    )
    productive = {pair.prompt_id for pair in chosen}
    barren = [prompt.id for prompt in prompts if prompt.id not in productive]
    await queries.recount_pairs(session, barren)
    return await queries.insert_pairs(
        session, project.project_id, await price(session, project, chosen)
    )


def _stands_before(project: Outlook, strategy: Strategy, prompt: PlannablePrompt) -> bool:
    position = earliest_position(
        pairs_planned=prompt.pairs_planned,
        near_duplicate=prompt.near_duplicate and strategy.near_duplicates_last,
        order_key=prompt.order_key,
        last=prompt.exploration,
    )
    return project.horizon is None or position < project.horizon


async def best_of_collection(sessions: Sessions, project: Outlook) -> list[ChosenPair]:
    """The first pairs of the collection that are missing before the horizon of the plan.

    ``PLAN_AHEAD`` at most; those of exploration prompts when there is no other.
    """
    best = await _scan(sessions, project, last=False)
    if not best and project.horizon is None:
        return await _scan(sessions, project, last=True)
    return best


async def best_of_prompts(
    session: AsyncSession, project: Outlook, prompt_ids: list[int]
) -> list[ChosenPair]:
    """The pairs of these prompts that are missing before the horizon of the plan."""
    assert project.dimensions is not None
    best: list[ChosenPair] = []
    size = page_size(project.dimensions)
    most = project.settings.pairs_per_prompt
    for start in range(0, len(prompt_ids), size):
        part = prompt_ids[start : start + size]
        prompts = await queries.plannable_among(session, project.project_id, most, part)
        chosen = await _choose(
            session,
            project,
            prompts,
            per_prompt=PLAN_AHEAD,
            last=False,
            before=_bound(project, best),
        )
        best = _first([*best, *chosen])
    return best


async def _scan(sessions: Sessions, project: Outlook, *, last: bool) -> list[ChosenPair]:
    assert project.dimensions is not None
    best: list[ChosenPair] = []
    after = 0
    limit = page_size(project.dimensions)
    while True:
        async with sessions() as session:
            prompts = await queries.next_by_id(
                session,
                project.project_id,
                project.settings.pairs_per_prompt,
                exploration=last,
                after=after,
                limit=limit,
            )
            chosen = await _choose(
                session,
                project,
                prompts,
                per_prompt=PLAN_AHEAD,
                last=last,
                before=_bound(project, best),
            )
        best = _first([*best, *chosen])
        if len(prompts) < limit:
            return best
        after = prompts[-1].id


def _bound(project: Outlook, best: list[ChosenPair]) -> float:
    """The position from which on a pair is of no more use."""
    horizon = math.inf if project.horizon is None else project.horizon
    return min(horizon, best[-1].position) if len(best) == PLAN_AHEAD else horizon


def _first(pairs: list[ChosenPair]) -> list[ChosenPair]:
    return heapq.nsmallest(
        PLAN_AHEAD,
        pairs,
        key=lambda pair: (pair.position, pair.first_response_id, pair.second_response_id),
    )


async def _choose(
    session: AsyncSession,
    project: Outlook,
    prompts: list[PlannablePrompt],
    *,
    per_prompt: int,
    last: bool,
    before: float = math.inf,
) -> list[ChosenPair]:
    assert project.dimensions is not None
    candidates = await queries.read_candidates(session, prompts, project.dimensions)
    choice = Choice(
        strategy=project.settings.strategy,
        seed=project.seed,
        per_prompt=per_prompt,
        pairs_per_prompt=project.settings.pairs_per_prompt,
        last=last,
        before=before,
        most=PLAN_AHEAD,
    )
    return await asyncio.to_thread(choose_pairs, candidates, choice)
