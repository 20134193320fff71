"""Preference Ranking Optimization, PRO (arXiv 2306.17492): whole rankings.

For a list of n responses, best first, with falling rewards r and scores s, the mean log-probability
of a response's tokens:

L = Σₖ −log[ exp(s_k·T_k) / (exp(s_k·T_k) + Σ_{i>k} exp(s_i·T_{k,i})) ] + w·(n − 1)²·NLL(best),

T_{k,i} = r_k − r_i and T_k = maxᵢ T_{k,i}. NLL is the sum over the tokens of the best response.
Lists may have different lengths.
"""

from collections.abc import Mapping

import torch
from torch import Tensor

from app.training.loss import ListLoss


def ranking(means: Tensor, rewards: Tensor, present: Tensor) -> Tensor:
    """The ranking term of each list: three (lists, places) to (lists,), without the padding."""
    total = means.new_zeros(len(means))
    for k in range(means.shape[1] - 1):
        worse = present[:, k + 1 :]
        differences = (rewards[:, k : k + 1] - rewards[:, k + 1 :]).masked_fill(~worse, 0.0)
        own = means[:, k] * differences.max(dim=1).values
        others = (means[:, k + 1 :] * differences).masked_fill(~worse, -torch.inf)
        all_of_them = torch.cat([own[:, None], others], dim=1)
        # Of a list that ends here, only its own term is left: log 1.
        total = total + torch.where(worse.any(1), torch.logsumexp(all_of_them, 1) - own, 0.0)
    return total


def supervised(sums: Tensor, present: Tensor) -> Tensor:
    """(n − 1)²·NLL(best) of each list."""
    return (present.sum(1) - 1) ** 2 * -sums[:, 0]


def _losses(
    sums: Tensor, means: Tensor, rewards: Tensor, present: Tensor, own: Mapping[str, float]
) -> Tensor:
    return ranking(means, rewards, present) + own["sft_weight"] * supervised(sums, present)


LOSS = ListLoss(
    name="pro",
    description="Whole rankings, each better response against all worse ones (PRO)",
    paper="2306.17492",
    recipe="ranking",
    columns=("suffix", "reward"),
    authors={"learning_rate": 5e-6, "max_length": 512, "epochs": 2.0},
    own={"sft_weight": 0.05},
    losses=_losses,
)
