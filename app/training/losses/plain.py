"""DPO, and the losses that TRL has, by name: DPO's relatives, KTO, reward models, SFT.

``authors`` has what the authors of a loss ran where that was read from their code, and of TRL's own
trainers TRL's defaults where they differ from ours. The rest are the defaults of ``Settings``, and
for arguments that it does not have, TRL's.
"""

from collections.abc import Mapping
from typing import Final

from torch import Tensor

from app.training.loss import PairLoss, Pairs, Trainer, TrlLoss, dpo


def _losses(pairs: Pairs, _: Mapping[str, float]) -> Tensor:
    return dpo(pairs.z)


DPO = PairLoss(
    name="dpo",
    description="Direct Preference Optimization; REAL trains so on its pairs",
    paper="2305.18290",
    recipe="dpo",
    authors={"beta": 0.1, "learning_rate": 5e-7},  # as in REAL, arXiv 2409.17169
    losses=_losses,
)
REWARD_AUGMENTED = PairLoss(
    name="reward-augmented",
    description="DPO on pairs whose prompt names a goal (Reward-Augmented Data)",
    paper="2410.08067",
    recipe="reward-augmented",
    columns=("overall_score_chosen", "overall_score_rejected"),
    authors={"beta": 0.01, "learning_rate": 5e-7},
    losses=_losses,
)


def _relative(
    name: str, kind: str, description: str, paper: str | None, **arguments: object
) -> TrlLoss:
    return TrlLoss(
        name=name,
        description=description,
        paper=paper,
        recipe="dpo",
        trainer=Trainer.DPO,
        arguments={"loss_type": [kind], **arguments},
    )


TRL_LOSSES: Final = (
    _relative("ipo", "ipo", "A squared loss, so that margins end somewhere (IPO)", "2310.12036"),
    _relative("hinge", "hinge", "A hinge on the margin (SLiC)", "2305.10425"),
    _relative("exo", "exo_pair", "Reverse KL (EXO)", "2402.00856", label_smoothing=1e-3),
    _relative("nca", "nca_pair", "Keeps the chosen response likely (NCA)", "2402.05369"),
    _relative("bco", "bco_pair", "A classifier of good and bad responses (BCO)", "2404.04656"),
    _relative("sppo", "sppo_hard", "Self-play towards a Nash equilibrium (SPPO)", "2405.00675"),
    _relative("aot", "aot", "Orders the distributions of the rewards (AOT)", "2406.05882"),
    _relative("apo-zero", "apo_zero", "Chosen up, rejected down (APO)", "2408.06266"),
    _relative("apo-down", "apo_down", "Both down, rejected more (APO)", "2408.06266"),
    _relative("discopop", "discopop", "A loss that a language model found", "2406.08414"),
    _relative("sigmoid-norm", "sigmoid_norm", "DPO on means over tokens", None),
    TrlLoss(
        name="kto",
        description="Single responses, desirable or not (KTO)",
        paper="2402.01306",
        recipe="kto",
        columns=("completion", "label"),
        trainer=Trainer.KTO,
    ),
    TrlLoss(
        name="reward",
        description="A reward model, with a margin where the data have one",
        paper="2307.09288",
        recipe="reward",
        authors={"learning_rate": 1e-4},
        trainer=Trainer.REWARD,
    ),
    TrlLoss(
        name="sft",
        description="Supervised fine-tuning on the chosen responses, before any of the others",
        paper=None,
        recipe="dpo",
        authors={"learning_rate": 2e-5},
        trainer=Trainer.SFT,
    ),
    TrlLoss(
        name="cpo",
        description="No reference policy (CPO)",
        paper="2401.08417",
        recipe="dpo",
        trainer=Trainer.CPO,
        arguments={"loss_type": "sigmoid"},
    ),
    TrlLoss(
        name="simpo",
        description="No reference policy, rewards by length, a margin (SimPO)",
        paper="2405.14734",
        recipe="dpo",
        trainer=Trainer.CPO,
        arguments={"loss_type": "simpo", "cpo_alpha": 0.0},
    ),
    TrlLoss(
        name="orpo",
        description="Supervised and preferences in one, no reference policy (ORPO)",
        paper="2403.07691",
        recipe="dpo",
        trainer=Trainer.ORPO,
    ),
    TrlLoss(
        name="tpo",
        description="Triples with a better response than the chosen, such as an edit (TPO)",
        paper="2405.16681",
        recipe="tpo",
        columns=("reference",),
        authors={"beta": 0.01, "learning_rate": 5e-7},
        trainer=Trainer.TPO,
    ),
)
