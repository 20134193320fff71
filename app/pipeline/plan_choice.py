"""Let the project's strategy choose pairs of given prompts."""

import math
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from app.pipeline.plan_pairs import ChosenPair
from app.selection.candidates import PromptBlock, PromptCandidate, blocks_of
from app.selection.ordering import next_pairs, plan_positions
from app.selection.pair_grid import pair_columns, pair_similarities
from app.selection.registry import STRATEGIES
from app.selection.strategy import Strategy

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
    blocks = blocks_of(candidates)
    orders = strategy.order(blocks, None, np.random.default_rng(choice.seed))
    chosen: list[ChosenPair] = []
    for block, order in zip(blocks, orders, strict=True):
        limit = min(choice.per_prompt, block.taken.shape[1])
        columns = next_pairs(order, block.taken, limit)
        if choice.pairs_per_prompt is not None:
            room = choice.pairs_per_prompt - block.rounds
            columns[np.arange(limit)[None, :] >= room[:, None]] = -1
        positions = plan_positions(strategy, block, order, columns, last=choice.last)
        columns[positions >= choice.before] = -1
        if choice.most is not None:
            _keep_lowest(columns, positions, choice.most)
        chosen += _rows(strategy.name, block, columns, positions)
    return chosen


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
            arm="strategy",
            strategy=strategy,
            propensity=None,
            position=float(positions[row, place]),
        )
