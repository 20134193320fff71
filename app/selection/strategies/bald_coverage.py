"""``bald-coverage``: where draws of the model disagree, on prompts unlike the labelled ones.

BAL-PM (Melo et al., arXiv 2406.10023): BALD, ``H[mean p] − mean H[p]`` over draws of the model,
plus ``β·log`` of the prompt's distance to the nearest labelled prompt (their entropy estimator over
prompts, with one neighbour). Prompts and pairs by the same score.
"""

import numpy as np

from app.selection.arrays import FloatArray
from app.selection.candidates import PromptBlock
from app.selection.model.features import prompt_vectors
from app.selection.model.posterior import binary_entropy, sigmoid
from app.selection.model.preference import PreferenceModel
from app.selection.strategies.learning import after_first_labels, by_score
from app.selection.strategy import PairOrder, Strategy

BETA = 0.01
DRAWS = 32
_LEAST_DISTANCE = 1e-3


def _order(
    blocks: list[PromptBlock], model: PreferenceModel, rng: np.random.Generator
) -> list[PairOrder]:
    weights = model.posterior.draws(rng, DRAWS)
    scores = [
        disagreement(sigmoid(model.pair_differences(block) @ weights.T))
        + BETA * np.log(_distances(block, model))[:, None]
        for block in blocks
    ]
    return by_score(blocks, scores)


def disagreement(probabilities: FloatArray) -> FloatArray:
    """BALD in nats, ``(…,)`` from the probabilities of each draw, ``(…, draws)``."""
    mean = binary_entropy(probabilities.mean(axis=-1))
    score: FloatArray = mean - binary_entropy(probabilities).mean(axis=-1)
    return score


def _distances(block: PromptBlock, model: PreferenceModel) -> FloatArray:
    """Each prompt's distance to the nearest labelled one: ``(prompts,)``."""
    cosines = (prompt_vectors(block) @ model.labelled_prompts.T).max(axis=1)
    distances: FloatArray = np.sqrt(np.maximum(2 - 2 * cosines, _LEAST_DISTANCE**2))
    return distances


STRATEGY = Strategy(
    "bald-coverage",
    "where draws of the model disagree, on prompts unlike the labelled ones (BAL-PM)",
    after_first_labels(_order),
    learns=True,
    ranks_prompts=True,
)
