"""What does a strategy buy in a hundred labels: right answers, ties, minority votes, or none?

    python -m benchmarks.bought ../shared/data/multi-cragc25.jsonl.gz [--labels 100] [--seeds 20]

For a file with several votes a pair. A label on a pair is one vote drawn from it: *right* if it is
the majority's, *minority* if it is against it, a *tie* if it is one; and *none* if the votes for
the two responses are equally many, so that nothing is right. The shares are those expected of the
pairs that are asked, over the splits of `simulate`; 95% intervals over splits.
"""

import argparse
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from app.selection.registry import STRATEGIES
from app.selection.simulation.pool import Pool
from app.selection.simulation.run import spend, split_prompts
from app.selection.simulation.simulate import feature_map_of
from app.selection.simulation.world import FIRST, SECOND, TIE, World
from benchmarks.label_efficiency import read_world

KINDS = ("right", "tie", "minority", "none")
STRATEGY_NAMES = ("random", "auto", "dissimilar", "similar")


def main() -> None:
    """Print a row for each strategy."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else None)
    parser.add_argument("file", type=Path)
    parser.add_argument("--labels", type=int, default=100)
    parser.add_argument("--seeds", type=int, default=20)
    parser.add_argument("--vectors", type=Path, default=Path("build/vectors"))
    asked = parser.parse_args()
    asked.vectors.mkdir(parents=True, exist_ok=True)
    world = read_world(asked.file, asked.vectors)
    print(f"{asked.file.name}, {asked.labels} labels, {asked.seeds} splits")
    for name in STRATEGY_NAMES:
        shares = np.array([_bought(world, name, asked.labels, n) for n in range(asked.seeds)])
        mean, error = shares.mean(axis=0), 1.96 * shares.std(axis=0) / np.sqrt(asked.seeds)
        told = (f"{kind} {m:.3f} ±{e:.3f}" for kind, m, e in zip(KINDS, mean, error, strict=True))
        print(f"{name}: {', '.join(told)}", flush=True)


def _bought(world: World, strategy: str, labels: int, number: int) -> NDArray[np.float64]:
    """The share of each kind among the labels of a split."""
    split = split_prompts(len(world.prompts), 0, number)
    pool = Pool(world, split.pool, feature_map_of(world), np.random.default_rng([0, number, 1]))
    before = [block.taken for block in pool.blocks]
    spend(pool, STRATEGIES[strategy], labels, np.random.default_rng([0, number, 2]))
    kinds = np.zeros(len(KINDS))
    for block, taken in zip(pool.blocks, before, strict=True):
        for row, column in zip(*np.nonzero(block.taken & ~taken), strict=True):
            votes = world.prompts[int(block.prompt_ids[row])].votes[column]
            said = votes[[FIRST, SECOND]].astype(np.float64) / votes.sum()
            tie = float(votes[TIE] / votes.sum())
            if said[0] == said[1]:
                kinds += [0, tie, 0, 1 - tie]
            else:
                kinds += [said.max(), tie, said.min(), 0]
    return np.asarray(kinds / kinds.sum(), dtype=np.float64)


if __name__ == "__main__":
    main()
