"""How fast pairs are ranked: against a bare matrix product, and against a loop over pairs.

    python -m benchmarks.selection_speed [--prompts 100000] [--responses 8] [--dimensions 384]

Prints seconds of processor time, best of ``--repeats``, for random unit vectors (with
OMP_NUM_THREADS=1 that is the time on an idle machine, also on a busy one):

- ``product``: one batched NumPy matrix product of every prompt's vectors with themselves, in the
  pieces in which the ranking does it;
- ``rank``: the first pair of every prompt by each strategy that ranks no prompts;
- ``loop``: a Python loop over pairs with one cosine each, as the authors of REAL do it, measured on
  ``--loop-prompts`` prompts and scaled up to all.
"""

import argparse
import itertools
import time
from collections.abc import Callable

import numpy as np
from numpy.typing import NDArray

from app.selection.candidates import PromptBlock
from app.selection.ordering import next_pairs
from app.selection.pair_grid import gram_matrices, pair_count
from app.selection.registry import STRATEGIES

PIECE = 4096


def main() -> None:
    """Measure, and print a row for each."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else None)
    parser.add_argument("--prompts", type=int, default=100_000)
    parser.add_argument("--responses", type=int, default=8)
    parser.add_argument("--dimensions", type=int, default=384)
    parser.add_argument("--loop-prompts", type=int, default=500)
    parser.add_argument("--repeats", type=int, default=3)
    names = [name for name, strategy in STRATEGIES.items() if not strategy.ranks_prompts]
    parser.add_argument("--strategies", default=",".join(names))
    asked = parser.parse_args()
    vectors = _unit_vectors(asked.prompts, asked.responses, asked.dimensions)
    print(f"{asked.prompts} prompts x {asked.responses} responses x {asked.dimensions} dimensions")
    product = _best(lambda: _product(vectors), asked.repeats)
    print(f"product              {product:8.2f} s")
    loop = _best(lambda: _loop(vectors[: asked.loop_prompts]), 1)
    loop *= asked.prompts / asked.loop_prompts
    print(f"loop (scaled up)     {loop:8.2f} s")
    for name in asked.strategies.split(","):
        seconds = _best(lambda name=name: _rank(name, vectors), asked.repeats)  # type: ignore[misc]
        print(
            f"{name:<20} {seconds:8.2f} s   {seconds / product:5.2f} x product,"
            f"  {loop / seconds:6.0f} x faster than the loop"
        )


def _unit_vectors(prompts: int, responses: int, dimensions: int) -> NDArray[np.float32]:
    rng = np.random.default_rng(0)
    vectors = rng.standard_normal((prompts, responses, dimensions), dtype=np.float32)
    vectors /= np.linalg.norm(vectors, axis=-1, keepdims=True)
    return vectors


def _best(work: Callable[[], None], repeats: int) -> float:
    seconds = []
    for _ in range(repeats):
        start = time.process_time()
        work()
        seconds.append(time.process_time() - start)
    return min(seconds)


def _product(vectors: NDArray[np.float32]) -> None:
    for at in range(0, len(vectors), PIECE):
        gram_matrices(vectors[at : at + PIECE])


def _rank(name: str, vectors: NDArray[np.float32]) -> None:
    strategy = STRATEGIES[name]
    for at in range(0, len(vectors), PIECE):
        block = _block(vectors[at : at + PIECE], at)
        [order] = strategy.order([block], None, np.random.default_rng(0))
        next_pairs(order, block.taken, 1)


def _block(vectors: NDArray[np.float32], start: int) -> PromptBlock:
    prompts, responses = vectors.shape[:2]
    ids = np.arange(start, start + prompts, dtype=np.int64)
    return PromptBlock(
        prompt_ids=ids,
        response_ids=ids[:, None] * responses + np.arange(responses),
        embeddings=vectors,
        taken=np.zeros((prompts, pair_count(responses)), dtype=np.bool_),
        rounds=np.zeros(prompts, dtype=np.int64),
        near_duplicate=np.zeros(prompts, dtype=np.bool_),
        order_keys=np.random.default_rng(start).random((prompts,)),
    )


def _loop(vectors: NDArray[np.float32]) -> None:
    for responses in vectors:
        best, lowest = None, np.inf
        for one, other in itertools.combinations(responses, 2):
            cosine = np.dot(one, other) / (np.linalg.norm(one) * np.linalg.norm(other))
            if cosine < lowest:
                best, lowest = (one, other), cosine
        assert best is not None


if __name__ == "__main__":
    main()
