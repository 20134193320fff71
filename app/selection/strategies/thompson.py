"""``thompson``: the best response of one draw of the model against the best of another.

Double Thompson sampling (SEA, Liu et al., arXiv 2411.01493): ``y1 = argmax r_θ1``, ``y2 = argmax
r_θ2`` with ``θ1, θ2`` from the posterior; where the two agree the second takes its next best. The
other pairs follow by the sum of the two ranks, in the order in which it is lower. Prompts as
``dissimilar``.

Every prompt has its own draws, by its id, so the other prompts do not matter.
"""

import numpy as np

from app.selection.arrays import FloatArray, IntArray
from app.selection.candidates import PromptBlock
from app.selection.model.preference import PreferenceModel
from app.selection.pair_grid import pair_columns
from app.selection.strategies.learning import after_first_labels
from app.selection.strategy import PairOrder, Strategy


def _order(
    blocks: list[PromptBlock], model: PreferenceModel, rng: np.random.Generator
) -> list[PairOrder]:
    salt = int(rng.integers(2**63))
    return [PairOrder(_keys(block, model, salt), block.order_keys) for block in blocks]


def _keys(block: PromptBlock, model: PreferenceModel, salt: int) -> FloatArray:
    features = model.feature_map.features(block)
    weights = np.stack(
        [
            model.posterior.draws(np.random.default_rng([salt, int(prompt_id)]), 2)
            for prompt_id in block.prompt_ids
        ]
    )
    rewards = np.einsum("nkf,ndf->ndk", features, weights)
    one, other = _ranks(rewards[:, 0]), _ranks(rewards[:, 1])
    first, second = pair_columns(block.responses)
    keys: FloatArray = np.minimum(
        one[:, first] + other[:, second], one[:, second] + other[:, first]
    ).astype(np.float64)
    return keys


def _ranks(rewards: FloatArray) -> IntArray:
    """Each response's rank, the best 0: ``(prompts, k)``."""
    return np.argsort(np.argsort(-rewards, axis=1, kind="stable"), axis=1, kind="stable")


STRATEGY = Strategy(
    "thompson",
    "the best response of one draw of the model against that of another (SEA)",
    after_first_labels(_order),
    learns=True,
)
