"""Let the project's strategy choose pairs of given prompts."""

import math
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

from app.planner.pairs import ChosenPair
from app.selection.candidates import PromptBlock, PromptCandidate, blocks_of
from app.selection.cost import Pricing, pair_seconds
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
from app.storage.arm import Arm

Positions = NDArray[np.float32] | NDArray[np.float64]


class UnknownStrategy(LookupError):
    """The project names a strategy that this version does not have."""


@dataclass(frozen=True, slots=True)
class Choice:
    """How to choose."""

    strategy: str
    seed: int
    per_prompt: int
    """How many pairs of each prompt, at most."""
    pairs_per_prompt: int | None
    """How many pairs of a prompt the plan may hold in all."""
    last: bool
    """They stand after all others: the later pairs of exploration prompts."""
    model: PreferenceModel | None = None
    """For a strategy that learns."""
    pricing: Pricing | None = None
    """Where pairs come by value per cost; the candidates know their words then."""
    before: float = math.inf
    """Only pairs whose position is lower."""
    most: int | None = None
    """Only so many pairs in all: those of the lowest positions."""


def find_strategy(name: str) -> Strategy:
    """The strategy of that name.

    Raises:
        UnknownStrategy: there is none.
    """
    try:
        return STRATEGIES[name]
    except KeyError:
        raise UnknownStrategy(f"no strategy is called {name}") from None


def choose_pairs(candidates: Sequence[PromptCandidate], choice: Choice) -> list[ChosenPair]:
    """The next pairs of each prompt, with their places in the plan."""
    if not candidates:
        return []
    strategy = find_strategy(choice.strategy)
    blocks = [_priced(block, choice.pricing) for block in blocks_of(candidates)]
    chosen: list[ChosenPair] = []
    orders = _orders(strategy, blocks, choice)
    for block, order in zip(blocks, orders, strict=True):
        limit = min(choice.per_prompt, block.taken.shape[1])
        columns = next_pairs(order, block.taken, limit)
        if choice.pairs_per_prompt is not None:
            room = choice.pairs_per_prompt - block.rounds
            columns[np.arange(limit)[None, :] >= room[:, None]] = -1
        positions = plan_positions(strategy, block, order, columns, after_all_others=choice.last)
        columns[positions >= choice.before] = -1
        if choice.most is not None:
            _keep_lowest(columns, positions, choice.most)
        chosen += _rows(strategy.name, block, columns, positions)
    return chosen


def _priced(block: PromptBlock, pricing: Pricing | None) -> PromptBlock:
    if pricing is None or block.words is None:
        return block
    return replace(block, expected_seconds=pair_seconds(block.words, pricing))


def _orders(strategy: Strategy, blocks: list[PromptBlock], choice: Choice) -> list[PairOrder]:
    model = choice.model
    # With every model the draws are new.
    seed = choice.seed if model is None else [choice.seed, model.labels]
    orders = strategy.order(blocks, model, np.random.default_rng(seed))
    if strategy.learns and strategy.ranks_prompts and not _is_taught(model):
        strategy = STRATEGIES["dissimilar"]  # as which it behaves until then
    return shortlist_places(strategy, blocks, orders_per_cost(strategy, blocks, orders))


def _is_taught(model: PreferenceModel | None) -> bool:
    return model is not None and model.labels >= FIRST_LABELS


def _keep_lowest(columns: NDArray[np.int64], positions: Positions, most: int) -> None:
    """Drop (-1) all but the ``most`` pairs of lowest positions; of equal ones all stay."""
    chosen = positions[columns >= 0]
    if len(chosen) > most:
        columns[positions > np.partition(chosen, most - 1)[most - 1]] = -1


def _rows(
    strategy: str,
    block: PromptBlock,
    columns: NDArray[np.int64],
    positions: Positions,
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
