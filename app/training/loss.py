"""What a loss is: a name, the data that serve it, its authors' settings, and its formula. Pure."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from enum import StrEnum
from typing import Final

from torch import Tensor
from torch.nn.functional import logsigmoid

WEIGHT: Final = "weight"
"""A column that multiplies the loss of its row, whichever pair loss it is."""


class Trainer(StrEnum):
    """Which trainer carries a loss."""

    DPO = "DPOTrainer"
    KTO = "KTOTrainer"
    REWARD = "RewardTrainer"
    SFT = "SFTTrainer"
    CPO = "CPOTrainer"
    ORPO = "ORPOTrainer"
    TPO = "TPOTrainer"


@dataclass(frozen=True, slots=True, kw_only=True)
class _Described:
    """What all kinds of loss have.

    ``recipe`` is the export that serves the loss, ``columns`` are those that it reads beside the
    prompt and the responses. ``authors`` are settings of every training as the authors ran them;
    ``own`` are hyper-parameters of this loss alone, with their values.
    """

    name: str
    description: str
    paper: str | None
    """The arXiv identifier."""
    recipe: str
    columns: tuple[str, ...] = ()
    authors: Mapping[str, float | int | str] = field(default_factory=dict)
    own: Mapping[str, float] = field(default_factory=dict)
    own_source: str = "paper"
    """Where the values of ``own`` are from: ``paper``, or ``default`` if they are ours."""


@dataclass(slots=True)
class Pairs:
    """A batch of pairs as a loss sees it; every tensor has the shape (pairs,).

    ``chosen`` and ``rejected`` are log π(y|x), the sums over the tokens of the response, and
    ``ref_…`` the same under the reference policy. ``third`` is a third response of each pair, for
    losses that have one. ``columns`` are the rows' own numbers.
    """

    beta: float
    chosen: Tensor
    rejected: Tensor
    ref_chosen: Tensor
    ref_rejected: Tensor
    columns: Mapping[str, Tensor]
    third: Tensor | None = None
    ref_third: Tensor | None = None

    @property
    def z(self) -> Tensor:
        """β·[log π(y_w|x)/π_ref(y_w|x) − log π(y_l|x)/π_ref(y_l|x)]: the margin of the rewards."""
        return self.beta * ((self.chosen - self.ref_chosen) - (self.rejected - self.ref_rejected))

    @property
    def third_ratio(self) -> Tensor:
        """log π(y|x)/π_ref(y|x) of the third response."""
        assert self.third is not None
        assert self.ref_third is not None
        return self.third - self.ref_third


@dataclass(frozen=True, slots=True, kw_only=True)
class PairLoss(_Described):
    """A loss of each pair, for ``PairLossTrainer``.

    ``third`` names the column of a third response. ``token_weights`` gives the weight of each token
    from its log-probability and whether it is one in which the two responses differ. ``versions``
    tells that the loss also classifies versions of the chosen response (SPO).
    """

    losses: Callable[[Pairs, Mapping[str, float]], Tensor]
    third: str | None = None
    token_weights: Callable[[Tensor, Tensor, Mapping[str, float]], Tensor] | None = None
    versions: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class ListLoss(_Described):
    """A loss of each list of responses, best first, for ``ListwiseTrainer``.

    ``losses(sums, means, rewards, present, own)``: the sum and mean of each response's token
    log-probabilities, its reward, and whether it is one (False: padding), all (lists, places).
    """

    losses: Callable[[Tensor, Tensor, Tensor, Tensor, Mapping[str, float]], Tensor]


@dataclass(frozen=True, slots=True, kw_only=True)
class TrlLoss(_Described):
    """A loss that TRL has: its trainer, and the arguments that choose it."""

    trainer: Trainer
    arguments: Mapping[str, object] = field(default_factory=dict)


Loss = PairLoss | ListLoss | TrlLoss


def dpo(z: Tensor) -> Tensor:
    """−log σ(z), the loss of DPO (arXiv 2305.18290) for each pair."""
    return -logsigmoid(z)
