"""Keep some thousands of pairs in the plan, waiting to be handed out.

The nearer half of the plan is always what it would be if all pairs were in it; the rest is filled
up when the plan gets shorter than that.
"""

import heapq
import math

from sqlalchemy.ext.asyncio import AsyncSession

from app.planner.page import choose_of_page, first_page, page_size
from app.planner.pairs import ChosenPair, price
from app.planner.queries import pairs as pair_queries
from app.planner.queries import prompts as queries
from app.planner.queries.outlook import Outlook
from app.planner.queries.prompts import PlannablePrompt
from app.selection.model.preference import PreferenceModel
from app.selection.ordering import earliest_position
from app.selection.strategy import Strategy
from app.settings import PLAN_AHEAD
from app.storage.sessions import Sessions


async def top_up_by_round(
    session: AsyncSession,
    project: Outlook,
    strategy: Strategy,
    model: PreferenceModel | None,
    *,
    fill: bool,
) -> int:
    """Plan the next pairs of the next prompts; gives how many pairs entered the plan.

    With ``fill`` until the plan holds ``PLAN_AHEAD``, else only what stands before the horizon.
    """
    assert project.dimensions is not None
    wanted = limit = page_size(project.dimensions)
    if fill:
        wanted = PLAN_AHEAD - await pair_queries.count_open(session, project.project_id, PLAN_AHEAD)
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
    page = first_page(prompts, strategy, project.dimensions)
    # A short page holds all prompts there are: their rounds can be planned together.
    is_short = len(page) == len(prompts) < limit
    chosen = await choose_of_page(
        session,
        project,
        strategy,
        page,
        model,
        per_prompt=math.ceil(wanted / len(page)) if is_short and fill else 1,
        last=page[0].exploration,
    )
    productive = {pair.prompt_id for pair in chosen}
    barren = [prompt.id for prompt in page if prompt.id not in productive]
    await pair_queries.recount_pairs(session, barren)
    return await pair_queries.insert_pairs(
        session, project.project_id, await price(session, project, chosen)
    )


def _stands_before(project: Outlook, strategy: Strategy, prompt: PlannablePrompt) -> bool:
    position = earliest_position(
        pairs_planned=prompt.pairs_planned,
        near_duplicate=prompt.near_duplicate and strategy.near_duplicates_last,
        order_key=prompt.order_key,
        after_all_others=prompt.exploration,
    )
    return project.horizon is None or position < project.horizon


async def best_of_collection(
    sessions: Sessions, project: Outlook, strategy: Strategy, *, anew: bool = False
) -> list[ChosenPair]:
    """The first pairs of the collection that are missing before the horizon of the plan.

    ``PLAN_AHEAD`` at most; those of exploration prompts when there is no other. ``anew``: all that
    should be in the plan, whatever of it is there.
    """
    best = await _scan(sessions, project, strategy, last=False, anew=anew)
    if not best and (anew or project.horizon is None):
        return await _scan(sessions, project, strategy, last=True, anew=anew)
    return best


async def best_of_prompts(
    session: AsyncSession, project: Outlook, strategy: Strategy, prompt_ids: list[int]
) -> list[ChosenPair]:
    """The pairs of these prompts that are missing before the horizon of the plan."""
    assert project.dimensions is not None
    best: list[ChosenPair] = []
    size = page_size(project.dimensions)
    most = project.settings.pairs_per_prompt
    for start in range(0, len(prompt_ids), size):
        part = prompt_ids[start : start + size]
        prompts = await queries.plannable_among(session, project.project_id, most, part)
        chosen = await choose_of_page(
            session,
            project,
            strategy,
            prompts,
            None,
            per_prompt=PLAN_AHEAD,
            last=False,
            before=_bound(project.horizon, best),
        )
        best = _first([*best, *chosen])
    return best


async def _scan(
    sessions: Sessions, project: Outlook, strategy: Strategy, *, last: bool, anew: bool
) -> list[ChosenPair]:
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
                ignore_unseen=anew,
            )
            chosen = await choose_of_page(
                session,
                project,
                strategy,
                prompts,
                None,
                per_prompt=PLAN_AHEAD,
                last=last,
                before=_bound(None if anew else project.horizon, best),
                ignore_unseen=anew,
            )
        best = _first([*best, *chosen])
        if len(prompts) < limit:
            return best
        after = prompts[-1].id


def _bound(horizon: float | None, best: list[ChosenPair]) -> float:
    """The position from which on a pair is of no more use."""
    bound = math.inf if horizon is None else horizon
    return min(bound, best[-1].position) if len(best) == PLAN_AHEAD else bound


def _first(pairs: list[ChosenPair]) -> list[ChosenPair]:
    return heapq.nsmallest(
        PLAN_AHEAD,
        pairs,
        key=lambda pair: (pair.position, pair.first_response_id, pair.second_response_id),
    )
