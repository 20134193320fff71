"""Losses that know how sure each label is: cDPO, robust DPO, and geometric averaging.

The column ``confidence`` is p̂, the probability that the row's preference is right; ε = 1 − p̂.

- cDPO: −(1 − ε)·log σ(z) − ε·log σ(−z) (the note of Mitchell, 2023).
- robust DPO: [−(1 − ε)·log σ(z) + ε·log σ(−z)] / (1 − 2ε), unbiased under that noise
  (arXiv 2403.00409). ε is held at ``highest_epsilon``, since the loss has no bound at ½.
- geometric averaging: −log σ((2p̂ − 1)·z) (arXiv 2409.06691; its form is not verified).
"""

from collections.abc import Mapping

from torch import Tensor

from app.training.loss import PairLoss, Pairs, dpo

_COLUMN = "confidence"


def conservative(z: Tensor, confidence: Tensor) -> Tensor:
    """−p̂·log σ(z) − (1 − p̂)·log σ(−z) for each pair."""
    return confidence * dpo(z) + (1 - confidence) * dpo(-z)


def robust(z: Tensor, confidence: Tensor, *, highest_epsilon: float) -> Tensor:
    """[−(1 − ε)·log σ(z) + ε·log σ(−z)] / (1 − 2ε) for each pair, ε = 1 − p̂ at most the highest."""
    epsilon = (1 - confidence).clamp(max=highest_epsilon)
    return ((1 - epsilon) * dpo(z) - epsilon * dpo(-z)) / (1 - 2 * epsilon)


def geometric(z: Tensor, confidence: Tensor) -> Tensor:
    """−log σ((2p̂ − 1)·z) for each pair."""
    return dpo((2 * confidence - 1) * z)


def _conservative(pairs: Pairs, _: Mapping[str, float]) -> Tensor:
    return conservative(pairs.z, pairs.columns[_COLUMN])


def _robust(pairs: Pairs, own: Mapping[str, float]) -> Tensor:
    return robust(pairs.z, pairs.columns[_COLUMN], highest_epsilon=own["highest_epsilon"])


def _geometric(pairs: Pairs, _: Mapping[str, float]) -> Tensor:
    return geometric(pairs.z, pairs.columns[_COLUMN])


CDPO = PairLoss(
    name="cdpo",
    description="A label counts both ways, by how sure it is (cDPO)",
    paper=None,
    recipe="confidence",
    columns=(_COLUMN,),
    losses=_conservative,
)
ROBUST = PairLoss(
    name="robust",
    description="Unbiased under the label noise of each row (robust DPO)",
    paper="2403.00409",
    recipe="confidence",
    columns=(_COLUMN,),
    own={"highest_epsilon": 0.45},
    own_source="default",
    losses=_robust,
)
SOFT = PairLoss(
    name="soft",
    description="An unsure label asks for a smaller margin (geometrically averaged DPO)",
    paper="2409.06691",
    recipe="confidence",
    columns=(_COLUMN,),
    losses=_geometric,
)
