"""Renew the plan: replace its unseen pairs after a change of strategy, prices or model.

Pairs are chosen outside of any transaction. They are replaced some hundred prompts at a time, and a
prompt to which something has happened since is left for later. At every moment a claim finds the
rest of the plan, and a plan that is partly old is still a plan.
"""

import time
from collections import defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import replace
from itertools import takewhile

import structlog
from sqlalchemy.ext.asyncio import AsyncSession

from app.planner.choosing import Choice, choose_pairs, first_page, price
from app.planner.decide import (
    Basis,
    Memory,
    Outcome,
    RenewalByRound,
    RenewalOfCollection,
    find_strategy,
    with_rest,
)
from app.planner.queries.outlook import Outlook, begin_planning
from app.planner.queries.pairs import ChosenPair, NewPair
from app.planner.queries.prompts import PlannablePrompt, find_renewable
from app.planner.replacement import Replacement, read_prompt_pairs, replace_pairs
from app.planner.topup import best_of_collection
from app.storage.notifications import Channel, notify
from app.storage.sessions import Sessions

_PROMPTS_AT_A_TIME = 256
"""In one transaction."""

log = structlog.get_logger()


async def begin_renewal(
    sessions: Sessions, project: Outlook, memory: Memory, basis: Basis
) -> Outcome:
    """Find the prompts whose pairs may have to be replaced."""
    memory = replace(memory, unscanned=frozenset())
    renewal: RenewalByRound | RenewalOfCollection
    if find_strategy(project.settings.strategy).collection_wide:
        by_prompt = await _best_by_prompt(sessions, project)
        renewal = RenewalOfCollection(basis, len(by_prompt), tuple(by_prompt.items()))
    else:
        async with sessions() as session:
            prompts = await find_renewable(session, project.project_id)
        renewal = RenewalByRound(basis, len(prompts), tuple(prompts))
    return Outcome(_with_progress(memory, project, renewal), moved=True)


async def _best_by_prompt(sessions: Sessions, project: Outlook) -> dict[int, Sequence[ChosenPair]]:
    """The pairs that belong in the plan, the best prompts first; then prompts that have none."""
    found: dict[int, list[ChosenPair]] = defaultdict(list)
    for pair in await best_of_collection(sessions, project, ignore_unseen=True):
        found[pair.prompt_id].append(pair)
    async with sessions() as session:
        renewable = await find_renewable(session, project.project_id)
    return {**found, **{one.id: () for one in renewable if one.id not in found}}


async def continue_renewal(sessions: Sessions, project: Outlook, memory: Memory) -> Outcome:
    """Replace the unseen pairs of some more prompts."""
    began = time.monotonic()
    renewal = memory.renewal
    assert renewal is not None
    left: RenewalByRound | RenewalOfCollection
    if isinstance(renewal, RenewalByRound):
        page = _next_page(renewal, project)
        replacements = await _choose_again(sessions, project, memory, page)
        changed = await _replace(sessions, project, memory, replacements)
        later = renewal.prompts[len(page) :]
        again = tuple(prompt for prompt in page if prompt.id in (changed or ()))
        left = replace(renewal, prompts=later + again)
    else:
        part = dict(renewal.prompts[:_PROMPTS_AT_A_TIME])
        async with sessions() as session:
            priced = await _price_by_prompt(session, project, part)
        replacements = [Replacement(prompt_id, priced[prompt_id]) for prompt_id in part]
        changed = await _replace(sessions, project, memory, replacements)
        left = replace(renewal, prompts=renewal.prompts[len(part) :])
    if changed is None:
        return Outcome(replace(memory, renewal=None), moved=True)
    if find_strategy(project.settings.strategy).reads_prompts:
        now = time.monotonic()
        memory = with_rest(memory, now, now - began)
    moved = len(left.prompts) < len(renewal.prompts)
    return Outcome(_with_progress(memory, project, left), moved)


def _with_progress(
    memory: Memory, project: Outlook, renewal: RenewalByRound | RenewalOfCollection
) -> Memory:
    """Remember what is left of the renewal, or that it is complete."""
    if renewal.prompts:
        return replace(memory, renewal=renewal)
    if renewal.size:
        log.info("plan renewed", project=project.project_id, prompts=renewal.size)
    return replace(memory, renewal=None, renewed=renewal.basis, ranked=renewal.size, unranked=0)


def _next_page(renewal: RenewalByRound, project: Outlook) -> Sequence[PlannablePrompt]:
    """The next prompts to look at together: a shortlist, if the strategy ranks prompts."""
    assert project.dimensions is not None
    exploration = renewal.prompts[0].exploration
    alike = takewhile(lambda prompt: prompt.exploration == exploration, renewal.prompts)
    strategy = find_strategy(project.settings.strategy)
    return first_page(list(alike), strategy, project.dimensions)


async def _choose_again(
    sessions: Sessions, project: Outlook, memory: Memory, page: Sequence[PlannablePrompt]
) -> list[Replacement]:
    """As many pairs of each prompt as it has unseen ones; without prompts that keep theirs."""
    async with sessions() as session:
        # One snapshot for what is in the plan, and for what is chosen because of it.
        await session.connection(execution_options={"isolation_level": "REPEATABLE READ"})
        present = await read_prompt_pairs(session, [prompt.id for prompt in page])
        choice = Choice(
            per_prompt=max(len(pairs.unseen) for pairs in present.values()),
            after_all_others=page[0].exploration,
            limit=None,
            ignore_unseen=True,
        )
        strategy = find_strategy(project.settings.strategy)
        chosen = await choose_pairs(session, project, strategy, memory.model, page, choice)
        by_prompt: dict[int, list[ChosenPair]] = defaultdict(list)
        for pair in chosen:
            if len(by_prompt[pair.prompt_id]) < len(present[pair.prompt_id].unseen):
                by_prompt[pair.prompt_id].append(pair)
        priced = await _price_by_prompt(session, project, by_prompt)
    replacements = [Replacement(number, priced[number], pairs) for number, pairs in present.items()]
    return [one for one in replacements if one.changes_anything]


async def _price_by_prompt(
    session: AsyncSession, project: Outlook, chosen: Mapping[int, Sequence[ChosenPair]]
) -> dict[int, list[NewPair]]:
    priced: dict[int, list[NewPair]] = defaultdict(list)
    everything = [pair for pairs in chosen.values() for pair in pairs]
    for pair in await price(session, project, everything):
        priced[pair.prompt_id].append(pair)
    return priced


async def _replace(
    sessions: Sessions, project: Outlook, memory: Memory, replacements: Sequence[Replacement]
) -> set[int] | None:
    """Replace pairs, some hundred prompts in a transaction.

    Gives the prompts that were left alone because something has happened to them since; None if
    the project itself has changed.
    """
    changed: set[int] = set()
    for start in range(0, len(replacements), _PROMPTS_AT_A_TIME):
        part = replacements[start : start + _PROMPTS_AT_A_TIME]
        async with sessions.begin() as session:
            now = await begin_planning(session, project.project_id)
            if now is None or now.settings != memory.settings:
                return None
            replaced = await replace_pairs(session, now, part)
            if replaced.changes:
                await notify(session, Channel.PLAN_CHANGED, str(now.project_id))
        changed |= replaced.left_alone
    return changed
