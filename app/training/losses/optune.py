"""OPTune (arXiv 2406.07657): pairs weighted by the gap of their rewards.

L = −σ(r_w − r_l)·log σ(z). The paper weights pairs by their reward gap and its code is not public:
the σ, which keeps the weight positive where the fitted rewards contradict the labels, is our
reading of it. Which prompts to sample again is the export ``regenerate``.
"""

from collections.abc import Mapping

from torch import Tensor, sigmoid

from app.training.loss import PairLoss, Pairs, dpo


def optune(z: Tensor, reward_gap: Tensor) -> Tensor:
    """−σ(reward_gap)·log σ(z) for each pair."""
    return sigmoid(reward_gap) * dpo(z)


def _losses(pairs: Pairs, _: Mapping[str, float]) -> Tensor:
    return optune(pairs.z, pairs.columns["reward_gap"])


LOSS = PairLoss(
    name="optune",
    description="Pairs weighted by their reward gap, for rounds of training (OPTune)",
    paper="2406.07657",
    recipe="optune",
    columns=("reward_gap",),
    authors={"learning_rate": 5e-7, "batch_size": 128, "max_length": 512},
    losses=_losses,
)
