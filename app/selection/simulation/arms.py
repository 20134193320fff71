"""The arms of a simulation: who chooses the pairs, and what model learns from the answers."""

from collections.abc import Sequence
from dataclasses import dataclass

from app.selection.model.features import FeatureSet

BASELINE = "random"
"""The arm that the others are compared with: the strategy of that name, with the full model."""
AGAIN = "random, again"
"""The same with other draws: how far two equal arms come apart by chance."""
PLAIN = "random, vectors alone"
WITHOUT_STYLE = "random, without style"


@dataclass(frozen=True, slots=True)
class Arm:
    """A strategy with a model."""

    name: str
    strategy: str
    feature_set: FeatureSet = FeatureSet.STYLE
    draws: int = 0
    """Which of the strategy's own draws; the prompts, their order and the answers are the same."""


def arms_of(strategies: Sequence[str]) -> list[Arm]:
    """``random`` in four ways, and each other strategy once, with the full model."""
    return [
        Arm(PLAIN, BASELINE, FeatureSet.VECTORS),
        Arm(WITHOUT_STYLE, BASELINE, FeatureSet.SIDES),
        Arm(BASELINE, BASELINE),
        Arm(AGAIN, BASELINE, draws=1),
        *(Arm(name, name) for name in dict.fromkeys(strategies) if name != BASELINE),
    ]
