"""DPO with ties (arXiv 2409.17431): the model of Rao and Kupper, or Davidson's.

Rows whose column ``tie`` is true say that the two responses are as good as each other. With ν > 1
and α = log ν, Rao-Kupper: p(win) = σ(z − α), p(tie) = (ν² − 1)·σ(z − α)·σ(−z − α). With ν > 0,
Davidson: p(win) = 1 / (1 + e^{−z} + 2ν·e^{−z/2}), p(tie) = 2ν·e^{−z/2}·p(win). L is −log p. The
defaults, ν = 3 and ν = 1, give a tie the probability ½ at z = 0 in both (from memory).
"""

from collections.abc import Mapping

import torch
from torch import Tensor
from torch.nn.functional import logsigmoid

from app.training.loss import PairLoss, Pairs

_COLUMN = "tie"


def rao_kupper(z: Tensor, tie: Tensor, *, nu: float) -> Tensor:
    """−log p of each pair, a tie where ``tie`` is 1; ν > 1."""
    alpha = torch.log(torch.tensor(nu, dtype=z.dtype))
    won = -logsigmoid(z - alpha)
    tied = won - logsigmoid(-z - alpha) - torch.log(torch.tensor(nu**2 - 1, dtype=z.dtype))
    return torch.where(tie > 0, tied, won)


def davidson(z: Tensor, tie: Tensor, *, nu: float) -> Tensor:
    """−log p of each pair, a tie where ``tie`` is 1; ν > 0."""
    log_twice = torch.log(torch.tensor(2 * nu, dtype=z.dtype))
    won = torch.logsumexp(torch.stack([torch.zeros_like(z), -z, log_twice - z / 2]), dim=0)
    return torch.where(tie > 0, won + z / 2 - log_twice, won)


def _rao_kupper(pairs: Pairs, own: Mapping[str, float]) -> Tensor:
    return rao_kupper(pairs.z, pairs.columns[_COLUMN], nu=own["nu"])


def _davidson(pairs: Pairs, own: Mapping[str, float]) -> Tensor:
    return davidson(pairs.z, pairs.columns[_COLUMN], nu=own["nu"])


RAO_KUPPER = PairLoss(
    name="ties",
    description="Ties have a probability of their own (DPO-RK)",
    paper="2409.17431",
    recipe="ties",
    columns=(_COLUMN,),
    own={"nu": 3.0},
    own_source="default",  # from memory
    losses=_rao_kupper,
)
DAVIDSON = PairLoss(
    name="ties-davidson",
    description="Ties have a probability of their own, as Davidson has it (DPO-D)",
    paper="2409.17431",
    recipe="ties",
    columns=(_COLUMN,),
    own={"nu": 1.0},
    own_source="default",  # from memory
    losses=_davidson,
)
