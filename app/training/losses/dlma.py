"""Direct Large Model Alignment, DLMA (arXiv 2402.11907): the model labels its own pairs.

L = −log σ(β·(Δ − s·clamp(R, −c, c))): Δ is the difference of the log-ratios, R the column
``margin``, [log π(y_w|x, p⁺) − log π(y_w|x, p⁻)] − the same of y_l, under a pair of contrasting
prompts p⁺ and p⁻, with s = 0.2 and c = 40. The s stands inside β, as in the authors' code.
"""

from collections.abc import Mapping

from torch import Tensor

from app.training.loss import PairLoss, Pairs, dpo


def contrastive(z: Tensor, margin: Tensor, *, beta: float, share: float, limit: float) -> Tensor:
    """−log σ(z − β·share·clamp(margin, −limit, limit)) for each pair."""
    return dpo(z - beta * share * margin.clamp(-limit, limit))


def _losses(pairs: Pairs, own: Mapping[str, float]) -> Tensor:
    margin = pairs.columns["margin"]
    share, limit = own["margin_share"], own["margin_limit"]
    return contrastive(pairs.z, margin, beta=pairs.beta, share=share, limit=limit)


LOSS = PairLoss(
    name="dlma",
    description="Pairs with a margin that the model gives itself by contrasting prompts (DLMA)",
    paper="2402.11907",
    recipe="contrastive",
    columns=("margin",),
    authors={"beta": 0.1},
    own={"margin_share": 0.2, "margin_limit": 40.0},
    losses=_losses,
)
