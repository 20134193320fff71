"""Top up the plan: add pairs where they are missing.

The nearer half of the plan is always what it would be if all pairs were in it. The rest is filled
when the plan gets shorter than that.
"""

import heapq
import math
from collections.abc import Sequence
from dataclasses import replace

from sqlalchemy.ext.asyncio import AsyncSession

from app.planner.choosing import Choice, choose_pairs, first_page, page_size, plan_pairs
from app.planner.decide import Memory, Outcome, find_strategy
from app.planner.queries.outlook import Outlook, begin_planning
from app.planner.queries.pairs import ChosenPair, count_open, recount_pairs
from app.planner.queries.prompts import (
    PlannablePrompt,
    next_by_id,
    next_by_round,
    next_fresh,
    plannable_among,
)
from app.selection.ordering import FIRST_ROUND, earliest_position
from app.settings import PLAN_AHEAD
from app.storage.notifications import Channel, notify
from app.storage.sessions import Sessions


async def top_up_by_round(
    session: AsyncSession, project: Outlook, memory: Memory, *, fill: bool
) -> Outcome:
    """Plan the next pairs of the next prompts.

    With ``fill`` until the plan holds ``PLAN_AHEAD`` pairs, else only pairs before the horizon.
    """
    assert project.dimensions is not None
    wanted = limit = page_size(project.dimensions)
    if fill:
        wanted = PLAN_AHEAD - await count_open(session, project.project_id, PLAN_AHEAD)
        limit = min(limit, wanted)
    added = 0
    for next_prompts in (next_fresh, _next_by_round):
        prompts = await next_prompts(session, project, limit=limit)
        if not fill:
            prompts = [prompt for prompt in prompts if _is_before_horizon(project, prompt)]
        if prompts:
            together = wanted if fill and len(prompts) < limit else 0
            added = await _plan_first(session, project, memory, prompts, together)
        if added:
            break
    memory = replace(memory, filling=fill and added > 0, unranked=memory.unranked + added)
    return Outcome(memory, moved=added > 0)


async def _next_by_round(
    session: AsyncSession, project: Outlook, *, limit: int
) -> list[PlannablePrompt]:
    last = find_strategy(project.settings.strategy).near_duplicates_last
    return await next_by_round(session, project, near_duplicates_last=last, limit=limit)


async def _plan_first(
    session: AsyncSession,
    project: Outlook,
    memory: Memory,
    prompts: Sequence[PlannablePrompt],
    together: int,
) -> int:
    """Plan the next pair of the first of these prompts; gives how many pairs that were.

    If these are all prompts there are, several turns can be planned together: ``together`` is how
    many pairs are wanted of them in all, else 0.
    """
    assert project.dimensions is not None
    strategy = find_strategy(project.settings.strategy)
    page = first_page(prompts, strategy, project.dimensions)
    choice = Choice(
        per_prompt=max(1, math.ceil(together / len(page))) if len(page) == len(prompts) else 1,
        after_all_others=page[0].exploration,
        before=math.inf if page[0].next_round == 1 else FIRST_ROUND,
    )
    chosen = await choose_pairs(session, project, strategy, memory.model, page, choice)
    productive = {pair.prompt_id for pair in chosen}
    barren = [prompt.id for prompt in page if prompt.id not in productive]
    await recount_pairs(session, barren)
    return await plan_pairs(session, project, chosen)


def _is_before_horizon(project: Outlook, prompt: PlannablePrompt) -> bool:
    strategy = find_strategy(project.settings.strategy)
    position = earliest_position(
        of_round=prompt.next_round,
        turn=prompt.turn,
        near_duplicate=prompt.near_duplicate and strategy.near_duplicates_last,
        order_key=prompt.order_key,
        after_all_others=prompt.exploration,
    )
    return project.horizon is None or position < project.horizon


async def scan_collection(sessions: Sessions, project: Outlook, memory: Memory) -> Outcome:
    """Plan the next pairs of the whole collection."""
    best = await best_of_collection(sessions, project, ignore_unseen=False)
    return await _insert(sessions, project, replace(memory, unscanned=frozenset()), best)


async def plan_arrived(
    sessions: Sessions, project: Outlook, memory: Memory, prompt_ids: frozenset[int]
) -> Outcome:
    """Plan those pairs of these prompts that belong before the horizon."""
    best = await _best_of_prompts(sessions, project, sorted(prompt_ids))
    memory = replace(memory, unscanned=memory.unscanned - prompt_ids)
    return await _insert(sessions, project, memory, best)


async def _insert(
    sessions: Sessions, project: Outlook, memory: Memory, best: Sequence[ChosenPair]
) -> Outcome:
    """Add pairs that were chosen without a lock, unless the project has changed since."""
    if not best:
        return Outcome(memory, moved=False)
    async with sessions.begin() as session:
        now = await begin_planning(session, project.project_id)
        if now is None or now.settings != memory.settings:
            return Outcome(replace(memory, renewed=None), moved=False)
        room = PLAN_AHEAD
        if now.horizon is None:
            room -= await count_open(session, now.project_id, PLAN_AHEAD)
        added = await plan_pairs(session, now, best[:room])
        if added:
            await notify(session, Channel.PLAN_CHANGED, str(now.project_id))
    return Outcome(memory, moved=added > 0)


async def best_of_collection(
    sessions: Sessions, project: Outlook, *, ignore_unseen: bool
) -> list[ChosenPair]:
    """The first pairs of the collection that are missing in the plan before its horizon.

    At most ``PLAN_AHEAD``; those of exploration prompts if there are no others. With
    ``ignore_unseen`` all that belong in the plan, as if it held no unseen pairs.
    """
    best = await _scan(sessions, project, exploration=False, ignore_unseen=ignore_unseen)
    if not best and (ignore_unseen or project.horizon is None):
        return await _scan(sessions, project, exploration=True, ignore_unseen=ignore_unseen)
    return best


async def _best_of_prompts(
    sessions: Sessions, project: Outlook, prompt_ids: list[int]
) -> list[ChosenPair]:
    """The pairs of these prompts that are missing in the plan before its horizon."""
    assert project.dimensions is not None
    strategy = find_strategy(project.settings.strategy)
    best: list[ChosenPair] = []
    size = page_size(project.dimensions)
    async with sessions() as session:
        for start in range(0, len(prompt_ids), size):
            prompts = await plannable_among(session, project, prompt_ids[start : start + size])
            choice = Choice(
                per_prompt=PLAN_AHEAD,
                after_all_others=False,
                before=_bound(project.horizon, best),
            )
            chosen = await choose_pairs(session, project, strategy, None, prompts, choice)
            best = _first([*best, *chosen])
    return best


async def _scan(
    sessions: Sessions, project: Outlook, *, exploration: bool, ignore_unseen: bool
) -> list[ChosenPair]:
    assert project.dimensions is not None
    strategy = find_strategy(project.settings.strategy)
    best: list[ChosenPair] = []
    after = 0
    limit = page_size(project.dimensions)
    while True:
        async with sessions() as session:
            prompts = await next_by_id(
                session,
                project,
                exploration=exploration,
                after=after,
                limit=limit,
                ignore_unseen=ignore_unseen,
            )
            choice = Choice(
                per_prompt=PLAN_AHEAD,
                after_all_others=exploration,
                before=_bound(None if ignore_unseen else project.horizon, best),
                ignore_unseen=ignore_unseen,
            )
            chosen = await choose_pairs(session, project, strategy, None, prompts, choice)
        best = _first([*best, *chosen])
        if len(prompts) < limit:
            return best
        after = prompts[-1].id


def _bound(horizon: float | None, best: list[ChosenPair]) -> float:
    """The position from which on pairs are of no more use."""
    bound = math.inf if horizon is None else horizon
    return min(bound, best[-1].position) if len(best) == PLAN_AHEAD else bound


def _first(pairs: list[ChosenPair]) -> list[ChosenPair]:
    return heapq.nsmallest(
        PLAN_AHEAD,
        pairs,
        key=lambda pair: (pair.position, pair.first_response_id, pair.second_response_id),
    )
