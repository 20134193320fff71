"""The contract of a strategy.

A strategy is a pure function from the candidates, the model (or none) and a random generator to an
order. It does not depend on the order of its input, because ``blocks_of`` sorts it; equal keys are
ordered by id in ``ordering``.
"""

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np

from app.selection.arrays import FloatArray
from app.selection.candidates import PromptBlock
from app.selection.cost import PairValue, by_place
from app.selection.model.preference import PreferenceModel


@dataclass(frozen=True, slots=True)
class PairOrder:
    """The order a strategy gives to the pairs of one block; low keys come first, ties by id."""

    pair_keys: FloatArray
    """The order within each prompt, or of the whole collection: ``(prompts, pairs)``."""
    prompt_keys: FloatArray
    """The order of prompts within a round, in [0, 1): ``(prompts,)``. Not used by a collection-wide
    strategy."""


OrderPairs = Callable[
    [list[PromptBlock], PreferenceModel | None, np.random.Generator], list[PairOrder]
]
"""From blocks (with the expected cost of each pair), the model, and a generator: one order a block,
over all of its pairs, taken or not."""


def by_pair_keys(keys: Callable[[PromptBlock], FloatArray]) -> OrderPairs:
    """The order of a strategy that only says which of a prompt's pairs come first, by these keys.

    Prompts are in their uniform order.
    """

    def order(
        blocks: list[PromptBlock], _model: PreferenceModel | None, _rng: np.random.Generator
    ) -> list[PairOrder]:
        return [PairOrder(keys(block), block.order_keys) for block in blocks]

    return order


@dataclass(frozen=True, slots=True)
class Strategy:
    """The rule that says which pairs come first."""

    name: str
    description: str
    order: OrderPairs
    collection_wide: bool = False
    """All pairs of the collection have one order, instead of round after round of prompts."""
    near_duplicates_last: bool = True
    """Within a round, near-duplicates of earlier prompts come after all others."""
    learns: bool = False
    """The order depends on a model, and is computed again as labels come in."""
    ranks_prompts: bool = False
    """It ranks the prompts that it is given (a shortlist), instead of a uniform order."""
    value: PairValue | None = by_place
    """What the keys say that pairs are worth, against what they cost; None: nothing (a draw)."""
    rank: int = 100
    """Lists show the strategies of lower rank first, and those of the same rank by name."""

    @property
    def reads_prompts(self) -> bool:
        """Whether it uses the embeddings of the prompts."""
        return self.learns or self.ranks_prompts
