"""Random candidates for the tests of this room."""

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from app.selection.candidates import PromptCandidate, blocks_of
from app.selection.model.preference import PreferenceModel
from app.selection.pair_grid import pair_columns
from app.selection.registry import STRATEGIES
from app.selection.strategy import PairOrder

Ranking = list[tuple[int, int]]


def random_prompts(
    rng: np.random.Generator, count: int, *, sizes: Sequence[int], dimensions: int = 8
) -> list[PromptCandidate]:
    """Prompts with random unit vectors and ids in no order."""
    ids = rng.permutation(count) + 1
    return [
        PromptCandidate(
            prompt_id=int(prompt_id),
            response_ids=rng.choice(10_000, size=size, replace=False).tolist(),
            embeddings=unit(rng.standard_normal((size, dimensions))),
            order_key=float(rng.random()),
        )
        for prompt_id, size in zip(ids, rng.choice(sizes, size=count), strict=True)
    ]


def unit(vectors: NDArray[np.float64]) -> NDArray[np.float32]:
    """The rows, each of length 1."""
    lengths = np.linalg.norm(vectors, axis=1, keepdims=True)
    return np.asarray(vectors / lengths, dtype=np.float32)


def rank_pairs(order: PairOrder) -> NDArray[np.int64]:
    """Columns of each prompt's pairs, best first, ties by id: ``(prompts, pairs)``."""
    return np.argsort(order.pair_keys, axis=1, kind="stable")


def rankings(
    name: str,
    prompts: list[PromptCandidate],
    seed: int = 0,
    model: PreferenceModel | None = None,
) -> dict[int, Ranking]:
    """Each prompt's pairs of response ids, best first, as the strategy has them."""
    blocks = blocks_of(prompts)
    orders = STRATEGIES[name].order(blocks, model, np.random.default_rng(seed))
    found: dict[int, Ranking] = {}
    for block, order in zip(blocks, orders, strict=True):
        first, second = pair_columns(block.responses)
        for row, columns in enumerate(rank_pairs(order)):
            ids = block.response_ids[row]
            found[int(block.prompt_ids[row])] = [
                (int(ids[first[column]]), int(ids[second[column]])) for column in columns
            ]
    return found


def prompt_sequence(
    name: str,
    prompts: list[PromptCandidate],
    seed: int = 0,
    model: PreferenceModel | None = None,
) -> list[int]:
    """The prompts' ids in the order in which the strategy takes their first pairs."""
    blocks = blocks_of(prompts)
    orders = STRATEGIES[name].order(blocks, model, np.random.default_rng(seed))
    keyed = [
        (float(key), int(prompt_id))
        for block, order in zip(blocks, orders, strict=True)
        for prompt_id, key in zip(block.prompt_ids, order.prompt_keys, strict=True)
    ]
    return [prompt_id for _, prompt_id in sorted(keyed)]
