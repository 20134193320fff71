"""Choose pairs: read some prompts, let the strategy choose, price and plan what it chose."""

import asyncio
import math
from collections.abc import Iterator, Sequence
from dataclasses import asdict, dataclass, replace

import numpy as np
from sqlalchemy.ext.asyncio import AsyncSession

from app.planner.queries.outlook import Outlook, PlanSettings
from app.planner.queries.pairs import ChosenPair, NewPair, insert_pairs
from app.planner.queries.prompts import PlannablePrompt, read_candidates
from app.preference.service import count_response_words
from app.selection.arrays import FloatArray, IntArray
from app.selection.candidates import PromptBlock, PromptCandidate, blocks_of
from app.selection.cost import Pricing
from app.selection.draws import overlap_draw
from app.selection.model.features import MOST_FEATURES, FeatureSet
from app.selection.model.preference import PreferenceModel
from app.selection.ordering import (
    next_pairs,
    orders_per_cost,
    plan_positions,
    shortlist_places,
)
from app.selection.pair_grid import pair_columns, pair_similarities
from app.selection.registry import STRATEGIES
from app.selection.strategies.learning import FIRST_LABELS
from app.selection.strategy import PairOrder, Strategy
from app.settings import MAX_RESPONSES, PLAN_AHEAD
from app.storage.arm import Arm

_LARGEST_PAGE = 512
_SMALLEST_PAGE = 16
_VECTOR_BYTES = 256 * 1024 * 1024
_FEATURE_BYTES = 256 * 1024 * 1024
"""For the features that a model reads: φ of the responses, and z of the pairs."""
_FLOAT_BYTES = 4
_DOUBLE_BYTES = 8


@dataclass(frozen=True, slots=True)
class Choice:
    """Which pairs of some prompts to choose."""

    per_prompt: int
    """How many of each prompt, at most."""
    after_all_others: bool
    """They come after all other pairs: the later pairs of exploration prompts."""
    before: float = math.inf
    """Only pairs whose position is lower."""
    limit: int | None = PLAN_AHEAD
    """How many in all, at most: those of the lowest positions."""
    ignore_unseen: bool = False
    """Choose as if the plan held no unseen pairs."""


def page_size(dimensions: int) -> int:
    """How many prompts are read together, so that their vectors stay within bounds."""
    bound = _VECTOR_BYTES // (dimensions * _FLOAT_BYTES * MAX_RESPONSES)
    return max(_SMALLEST_PAGE, min(_LARGEST_PAGE, bound))


def first_page(
    prompts: Sequence[PlannablePrompt], strategy: Strategy, dimensions: int
) -> Sequence[PlannablePrompt]:
    """The first prompts, as many as the strategy can look at together; at least one.

    If it ranks prompts or learns, they are a shortlist: up to ``PLAN_AHEAD``, as far as a model's
    features of their responses and pairs stay within bounds (some 4000 prompts of 10 responses).
    """
    if not strategy.reads_prompts:
        return prompts[: page_size(dimensions)]
    responses = pairs = 0
    for place, prompt in enumerate(prompts[:PLAN_AHEAD]):
        responses += (1 + math.isqrt(1 + 8 * prompt.pairs_total)) // 2
        pairs += prompt.pairs_total
        # φ is made of 2·dimensions + 1 numbers before it is projected.
        numbers = max(responses * 2 * dimensions, pairs * MOST_FEATURES)
        if place and numbers * _DOUBLE_BYTES > _FEATURE_BYTES:
            return prompts[:place]
    return prompts[:PLAN_AHEAD]


async def choose_pairs(
    session: AsyncSession,
    project: Outlook,
    strategy: Strategy,
    model: PreferenceModel | None,
    prompts: Sequence[PlannablePrompt],
    choice: Choice,
) -> list[ChosenPair]:
    """The pairs of these prompts that the project's strategy chooses, with their positions."""
    assert project.dimensions is not None
    feature_set = FeatureSet.VECTORS if model is None else model.feature_map.feature_set
    candidates = await read_candidates(
        session,
        prompts,
        project.dimensions,
        with_prompts=strategy.reads_prompts,
        with_words=project.settings.pricing is not None or feature_set is FeatureSet.SIDES,
        with_style=feature_set is FeatureSet.STYLE,
        ignore_unseen=choice.ignore_unseen,
    )
    return await asyncio.to_thread(_choose, project, strategy, model, candidates, choice)


async def plan_pairs(session: AsyncSession, project: Outlook, chosen: Sequence[ChosenPair]) -> int:
    """Add chosen pairs to the plan; gives how many were not there yet."""
    return await insert_pairs(session, project.project_id, await price(session, project, chosen))


async def price(
    session: AsyncSession, project: Outlook, chosen: Sequence[ChosenPair]
) -> list[NewPair]:
    """The pairs with what they are expected to cost, and how many labels they want."""
    responses = {pair.first_response_id for pair in chosen}
    responses |= {pair.second_response_id for pair in chosen}
    words = await count_response_words(session, responses)
    priced = []
    for pair in chosen:
        draw = overlap_draw(pair.first_response_id, pair.second_response_id, project.seed)
        read = words.get(pair.first_response_id, 0) + words.get(pair.second_response_id, 0)
        priced.append(
            NewPair(
                **asdict(pair),
                expected_seconds=project.cost.expected_seconds(read),
                labels_wanted=_labels_wanted(project.settings, draw),
                overlap_draw=draw,
            )
        )
    return priced


def _labels_wanted(settings: PlanSettings, draw: float) -> int:
    if draw < settings.overlap_share:
        return max(settings.labels_per_pair, settings.overlap_labels)
    return settings.labels_per_pair


def _choose(
    project: Outlook,
    strategy: Strategy,
    model: PreferenceModel | None,
    candidates: Sequence[PromptCandidate],
    choice: Choice,
) -> list[ChosenPair]:
    if not candidates:
        return []
    settings = project.settings
    blocks = [_priced_block(block, settings.pricing) for block in blocks_of(candidates)]
    chosen: list[ChosenPair] = []
    orders = _orders(strategy, model, blocks, project.seed)
    for block, order in zip(blocks, orders, strict=True):
        limit = min(choice.per_prompt, block.taken.shape[1])
        columns = next_pairs(order, block.taken, limit, block.pair_rounds)
        if settings.pairs_per_prompt is not None:
            room = settings.pairs_per_prompt - block.rounds
            columns[np.arange(limit)[None, :] >= room[:, None]] = -1
        positions = plan_positions(
            strategy, block, order, columns, after_all_others=choice.after_all_others
        )
        columns[positions >= choice.before] = -1
        if choice.limit is not None:
            _keep_lowest(columns, positions, choice.limit)
        chosen += _chosen_pairs(strategy.name, block, columns, positions)
    return chosen


def _priced_block(block: PromptBlock, pricing: Pricing | None) -> PromptBlock:
    if pricing is None or block.words is None:
        return block
    return replace(block, expected_seconds=pricing.of_pairs(block.words))


def _orders(
    strategy: Strategy, model: PreferenceModel | None, blocks: list[PromptBlock], seed: int
) -> list[PairOrder]:
    # Each new model brings new draws.
    rng = np.random.default_rng(seed if model is None else [seed, model.labels])
    orders = strategy.order(blocks, model, rng)
    is_taught = model is not None and model.labels >= FIRST_LABELS
    if strategy.learns and strategy.ranks_prompts and not is_taught:
        strategy = STRATEGIES["dissimilar"]  # it behaves as this one until then
    return shortlist_places(strategy, blocks, orders_per_cost(strategy, blocks, orders))


def _keep_lowest(columns: IntArray, positions: FloatArray, limit: int) -> None:
    """Drop (-1) all but the ``limit`` pairs of lowest positions; of equal ones all stay."""
    chosen = positions[columns >= 0]
    if len(chosen) > limit:
        columns[positions > np.partition(chosen, limit - 1)[limit - 1]] = -1


def _chosen_pairs(
    strategy: str, block: PromptBlock, columns: IntArray, positions: FloatArray
) -> Iterator[ChosenPair]:
    first, second = pair_columns(block.responses)
    similarities = pair_similarities(block.embeddings)
    for row, place in zip(*np.nonzero(columns >= 0), strict=True):
        column = columns[row, place]
        yield ChosenPair(
            prompt_id=int(block.prompt_ids[row]),
            first_response_id=int(block.response_ids[row, first[column]]),
            second_response_id=int(block.response_ids[row, second[column]]),
            similarity=float(similarities[row, column]),
            arm=Arm.STRATEGY,
            strategy=strategy,
            propensity=None,
            position=float(positions[row, place]),
        )
