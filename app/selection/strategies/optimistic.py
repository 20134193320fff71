"""``optimistic``: what could be best against what could be worst.

DeltaUCB (arXiv 2603.09692), in the spirit of SELM's optimism (2405.19332): with ``U, L = m ± κ·s``
of each response's reward, around its prompt's mean, the score of a pair is the larger of ``U_i −
L_j`` and ``U_j − L_i``; its highest pairs ``argmax U`` with ``argmin L``. Prompts by the same
score.
"""

import numpy as np

from app.selection import cost
from app.selection.candidates import PromptBlock
from app.selection.model.preference import PreferenceModel
from app.selection.pair_grid import pair_columns
from app.selection.strategies.learning import after_first_labels, by_score
from app.selection.strategy import PairOrder, Strategy

KAPPA = 1.0


def _order(
    blocks: list[PromptBlock], model: PreferenceModel, _rng: np.random.Generator
) -> list[PairOrder]:
    scores = []
    for block in blocks:
        features = model.feature_map.features(block)
        mean, variance = model.gaps(features - features.mean(axis=1, keepdims=True))
        upper, lower = mean + KAPPA * np.sqrt(variance), mean - KAPPA * np.sqrt(variance)
        first, second = pair_columns(block.responses)
        scores.append(
            np.maximum(upper[:, first] - lower[:, second], upper[:, second] - lower[:, first])
        )
    return by_score(blocks, scores)


STRATEGY = Strategy(
    "optimistic",
    "what could be the best response against what could be the worst (DeltaUCB)",
    after_first_labels(_order),
    learns=True,
    ranks_prompts=True,
    value=cost.by_score,
)
