"""``coverage``: prompts that stand for the others first, the most different pair of each.

Facility location over the prompts' embeddings (Mirzasoleiman et al. 2013, "Distributed submodular
maximization"): greedily the prompt ``p`` that adds most to ``Σ_q max_{s ∈ S} max(0, e(q)·e(s))``.
Greedy over the prompts in their random order, in pieces of ``_PIECE``; pieces
follow each other. Within a prompt the lowest cosine, as ``dissimilar``.
"""

import numpy as np

from app.selection.arrays import FloatArray, IntArray
from app.selection.candidates import PromptBlock
from app.selection.cost import by_cosine
from app.selection.model.features import prompt_vectors
from app.selection.model.preference import PreferenceModel
from app.selection.pair_grid import pair_similarities
from app.selection.prompt_keys import as_prompt_keys
from app.selection.strategy import PairOrder, Strategy

_PIECE = 512
_DECIMALS = 6


def order(
    blocks: list[PromptBlock],
    _model: PreferenceModel | None,
    _rng: np.random.Generator,
) -> list[PairOrder]:
    """Prompts by how much they add to the coverage; lowest cosine within each."""
    if not blocks:
        return []
    vectors = np.concatenate([prompt_vectors(block) for block in blocks]).astype(np.float64)
    order_keys = np.concatenate([block.order_keys for block in blocks])
    ids = np.concatenate([block.prompt_ids for block in blocks])
    by_draw = np.lexsort((ids, order_keys))
    pieces = [by_draw[at : at + _PIECE] for at in range(0, len(by_draw), _PIECE)]
    sequence = np.concatenate([piece[facility_order(vectors[piece])] for piece in pieces])
    return [
        PairOrder(pair_similarities(block.embeddings), keys)
        for block, keys in zip(blocks, as_prompt_keys(blocks, sequence), strict=True)
    ]


def facility_order(vectors: FloatArray) -> IntArray:
    """The greedy order of facility location over unit vectors: indices, ``(prompts,)``.

    Of equal gains the first is taken; gains that differ by less than 1e-6 are equal.
    """
    similar = np.maximum(vectors @ vectors.T, 0.0)
    covered = np.zeros(len(vectors))
    chosen = np.zeros(len(vectors), dtype=np.bool_)
    sequence = np.empty(len(vectors), dtype=np.int64)
    for step in range(len(vectors)):
        gains = np.round(np.maximum(similar - covered, 0.0).sum(axis=1), _DECIMALS)
        gains[chosen] = -1.0
        best = int(gains.argmax())
        sequence[step] = best
        chosen[best] = True
        covered = np.maximum(covered, similar[best])
    return sequence


STRATEGY = Strategy(
    "coverage",
    "prompts that stand for the others first, the two most different responses of each",
    order,
    ranks_prompts=True,
    value=by_cosine,
    rank=80,
)
