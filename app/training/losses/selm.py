"""Self-Exploring Language Models, SELM (arXiv 2405.19332): optimism.

L = −log σ(z) + α·β·log π(y_ref|x)/π_ref(y_ref|x), y_ref being what the reference policy says: the
second term moves the policy away from it, towards what has not been seen. Each round ranks
{reference, chosen, rejected} again and trains on the best and the worst.
"""

from collections.abc import Mapping

from torch import Tensor

from app.training.loss import PairLoss, Pairs, dpo


def optimistic(z: Tensor, reference_ratio: Tensor, *, alpha: float, beta: float) -> Tensor:
    """−log σ(z) + α·β·reference_ratio for each pair."""
    return dpo(z) + alpha * beta * reference_ratio


def _losses(pairs: Pairs, own: Mapping[str, float]) -> Tensor:
    return optimistic(pairs.z, pairs.third_ratio, alpha=own["alpha"], beta=pairs.beta)


LOSS = PairLoss(
    name="selm",
    description="Moves away from what the reference policy says, for rounds of training (SELM)",
    paper="2405.19332",
    recipe="self-exploring",
    columns=("reference_response",),
    authors={"beta": 0.01, "learning_rate": 5e-7},  # falling to 1e-7 over the rounds
    own={"alpha": 0.001},
    losses=_losses,
    third="reference_response",
)
