"""Adaptive Preference Scaling (arXiv 2406.02764): each pair finds its own temperature.

L = −τ·log σ(z/τ), with the τ that minimises −τ·log σ(z/τ) + (ρ − log 2)·τ, found by Newton's method
on the detached z. A clear pair has a large τ, so its gradient lasts and its margin may grow; an
ambiguous pair has a small τ, so its gradient soon vanishes.
"""

import math
from collections.abc import Mapping

import torch
from torch import Tensor, sigmoid
from torch.nn.functional import logsigmoid

from app.training.loss import PairLoss, Pairs

_NEWTON_STEPS = 5
_LEAST_CURVATURE = 1e-6
_LOG_2 = math.log(2)


def scale(z: Tensor, *, rho: float, lowest: float, highest: float) -> Tensor:
    """τ of each pair, of the shape of z, by five Newton steps from τ = 1; without a gradient.

    The slope is g = −log(2σ(z/τ)) + (1 − σ(z/τ))·z/τ + ρ, the curvature
    h = (z²/τ³)·σ(z/τ)·(1 − σ(z/τ)), at least 1e-6; τ stays within [lowest, highest].
    """
    z = z.detach()
    tau = torch.ones_like(z)
    for _ in range(_NEWTON_STEPS):
        ratio = z / tau
        right = sigmoid(ratio)
        slope = -_LOG_2 - logsigmoid(ratio) + (1 - right) * ratio + rho
        curvature = (z**2 / tau**3 * right * (1 - right)).clamp(min=_LEAST_CURVATURE)
        tau = (tau - slope / curvature).clamp(lowest, highest)
    return tau


def adaptive(z: Tensor, *, rho: float, lowest: float, highest: float) -> Tensor:
    """−τ·log σ(z/τ) for each pair."""
    tau = scale(z, rho=rho, lowest=lowest, highest=highest)
    return -tau * logsigmoid(z / tau)


def _losses(pairs: Pairs, own: Mapping[str, float]) -> Tensor:
    return adaptive(pairs.z, rho=own["rho"], lowest=own["lowest_tau"], highest=own["highest_tau"])


LOSS = PairLoss(
    name="aps",
    description="Each pair finds its own temperature (Adaptive Preference Scaling)",
    paper="2406.02764",
    recipe="dpo",
    authors={"beta": 0.1, "learning_rate": 5e-5, "lora_rank": 64},
    own={"rho": 0.1, "lowest_tau": 0.1, "highest_tau": 5.0},
    losses=_losses,
)
