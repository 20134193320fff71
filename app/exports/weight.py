"""The weight of a pair by how far its rewards lie apart."""

import math

from app.exports.pairs import PreferredPair


def unscaled_weight(preferred: PreferredPair) -> float:
    """σ(r_chosen − r_rejected), in (0, 1)."""
    return 1 / (1 + math.exp(preferred.reward_rejected - preferred.reward_chosen))
