"""``random``: the baseline, uniform within a prompt and across prompts.

REAL (arXiv 2409.17169), "random". A pair's key is a hash of its responses' ids, salted by one draw
from the generator: uniform, and independent of the other prompts.
"""

import numpy as np

from app.selection.candidates import PromptBlock
from app.selection.hashing import uniform
from app.selection.model.preference import PreferenceModel
from app.selection.strategy import PairOrder, Strategy


def order(
    blocks: list[PromptBlock],
    _model: PreferenceModel | None,
    rng: np.random.Generator,
) -> list[PairOrder]:
    """Every order of a prompt's pairs is as likely as any other."""
    salt = rng.integers(2**63, size=1, dtype=np.uint64)
    return [PairOrder(uniform(block.response_ids, salt), block.order_keys) for block in blocks]


STRATEGY = Strategy(
    "random",
    "any pair of any prompt, uniformly",
    order,
    near_duplicates_last=False,
    value=None,
    rank=70,
)
