"""``gap``: the pairs the model is most sure of, on the prompts it is least sure of.

APL (Muldrew et al., arXiv 2402.08114): within a prompt ``argmax |r(x, y_i) − r(x, y_j)|``; prompts
by predictive entropy. Theirs is the entropy of the language model's answer; here it is the mean,
over the prompt's pairs, of the entropy of the expected preference.
"""

import numpy as np

from app.selection.candidates import PromptBlock
from app.selection.cost import by_score
from app.selection.model.posterior import binary_entropy, preference_probability
from app.selection.model.preference import PreferenceModel
from app.selection.prompt_keys import best_first
from app.selection.strategies.learning import after_first_labels
from app.selection.strategy import PairOrder, Strategy


def _order(
    blocks: list[PromptBlock], model: PreferenceModel, _rng: np.random.Generator
) -> list[PairOrder]:
    keys, entropies = [], []
    for block in blocks:
        mean, variance = model.gaps(model.pair_differences(block))
        p = preference_probability(mean, variance)
        keys.append(-np.abs(mean))
        entropies.append(binary_entropy(p).mean(axis=1))
    prompt_keys = best_first(blocks, np.concatenate(entropies))
    return [PairOrder(key, prompts) for key, prompts in zip(keys, prompt_keys, strict=True)]


STRATEGY = Strategy(
    "gap",
    "the pair of the largest predicted gap, on the least certain prompts (APL)",
    after_first_labels(_order),
    learns=True,
    ranks_prompts=True,
    value=by_score,
)
