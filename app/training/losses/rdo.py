"""Reward Difference Optimization, RDO (arXiv 2408.09385): weighted pairs.

L = −R·log σ(z), where the reward difference coefficient R is positive, and larger where the
difference of the two responses is. In the paper a *difference model* predicts R from both responses
together; here R is the column ``weight``, σ(r_chosen − r_rejected) of the fitted rewards scaled to
mean 1. The paper's exact form of R, and its batch size, are not verified.
"""

from collections.abc import Mapping

from torch import Tensor

from app.training.loss import WEIGHT, PairLoss, Pairs, dpo


def _losses(pairs: Pairs, _: Mapping[str, float]) -> Tensor:
    return dpo(pairs.z)  # the trainer multiplies by the weight, as for every pair loss


LOSS = PairLoss(
    name="rdo",
    description="Pairs weighted by the difference of their rewards (RDO)",
    paper="2408.09385",
    recipe="rdo",
    columns=(WEIGHT,),
    losses=_losses,
)
