"""A page of prompts: how many are looked at together, and what the strategy chooses of them."""

import asyncio
import math
from collections.abc import Sequence

from sqlalchemy.ext.asyncio import AsyncSession

from app.planner.choice import Choice, choose_pairs
from app.planner.pairs import ChosenPair
from app.planner.queries.outlook import Outlook
from app.planner.queries.prompts import PlannablePrompt, read_candidates
from app.selection.model.features import MOST_FEATURES
from app.selection.model.preference import PreferenceModel
from app.selection.strategy import Strategy
from app.settings import MAX_RESPONSES, PLAN_AHEAD

_MOST_PROMPTS = 512
_FEWEST_PROMPTS = 16
_VECTOR_BYTES = 256 * 1024 * 1024
_FEATURE_BYTES = 256 * 1024 * 1024
"""Of the features that a model sees: φ of the responses, and z of the pairs."""
_FLOAT_BYTES = 4
_DOUBLE_BYTES = 8


def page_size(dimensions: int) -> int:
    """How many prompts are looked at together, so that their vectors stay within bounds."""
    bound = _VECTOR_BYTES // (dimensions * _FLOAT_BYTES * MAX_RESPONSES)
    return max(_FEWEST_PROMPTS, min(_MOST_PROMPTS, bound))


def first_page(
    prompts: Sequence[PlannablePrompt], strategy: Strategy, dimensions: int
) -> Sequence[PlannablePrompt]:
    """Those of the prompts that the strategy can look at together; the first one at least.

    If it ranks prompts or learns, up to ``PLAN_AHEAD`` of them, a shortlist, as far as a model's
    features of their responses and pairs stay within bounds (some 4000 prompts of 10 responses).
    """
    if not strategy.reads_prompts:
        return prompts[: page_size(dimensions)]
    limit = PLAN_AHEAD
    responses = pairs = 0
    for place, prompt in enumerate(prompts[:limit]):
        responses += (1 + math.isqrt(1 + 8 * prompt.pairs_total)) // 2
        pairs += prompt.pairs_total
        # φ is made of 2·dimensions + 1 numbers before it is projected.
        most = max(responses * 2 * dimensions, pairs * MOST_FEATURES)
        if place and most * _DOUBLE_BYTES > _FEATURE_BYTES:
            return prompts[:place]
    return prompts[:limit]


async def choose_of_page(
    session: AsyncSession,
    project: Outlook,
    strategy: Strategy,
    prompts: Sequence[PlannablePrompt],
    model: PreferenceModel | None,
    *,
    per_prompt: int,
    last: bool,
    before: float = math.inf,
    most: int | None = PLAN_AHEAD,
    ignore_unseen: bool = False,
) -> list[ChosenPair]:
    """What the project's strategy chooses of these prompts' pairs; see ``Choice``.

    With ``ignore_unseen`` as if the pairs that nobody has seen were not in the plan.
    """
    assert project.dimensions is not None
    candidates = await read_candidates(
        session,
        prompts,
        project.dimensions,
        with_prompts=strategy.reads_prompts,
        with_words=_reads_words(project, model),
        ignore_unseen=ignore_unseen,
    )
    choice = Choice(
        strategy=strategy.name,
        seed=project.seed,
        per_prompt=per_prompt,
        pairs_per_prompt=project.settings.pairs_per_prompt,
        last=last,
        model=model,
        pricing=project.settings.pricing,
        before=before,
        most=most,
    )
    return await asyncio.to_thread(choose_pairs, candidates, choice)


def _reads_words(project: Outlook, model: PreferenceModel | None) -> bool:
    knows_lengths = model is not None and model.feature_map.side_scale is not None
    return project.settings.pricing is not None or knows_lengths
