"""Which sizes of the features does the preference model want, if each file in turn is left out?

    python -m benchmarks.model_sizes ../shared/data [--seeds 20]

Random labels, models with other sizes of typicality and length, of style, and of the directions of
the vectors. A row for each size: the mean log-loss at 25, 50, 100 and 200 labels, compared with the
model without style. Then, for each file: the size that is best on the others (each file's gains
divided by its largest), and what that gains on the file.
"""

import argparse
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import numpy as np
from threadpoolctl import threadpool_limits  # type: ignore[import-untyped]  # ships no types

from app.selection.model import features
from app.selection.model.features import FeatureMap, FeatureSet
from app.selection.registry import STRATEGIES
from app.selection.simulation.measures import Measure, means_of
from app.selection.simulation.run import run_arm
from app.selection.simulation.simulate import feature_map_of
from app.selection.simulation.world import World
from benchmarks.label_efficiency import FILES, read_world

BUDGETS = (25, 50, 100, 200)
SIDES = (0.4, 0.6, 0.8)
STYLES = (0.1, 0.15, 0.2)
DIRECTIONS = (0.7, 1.0, 1.4)
SHIPPED = (features.SIDE_SIZE_BESIDE_STYLE, features.STYLE_SIZE, 1.0)

Size = tuple[float, float, float]


def main() -> None:
    """Measure every size on every file."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else None)
    parser.add_argument("data", type=Path)
    parser.add_argument("--seeds", type=int, default=20)
    parser.add_argument("--vectors", type=Path, default=Path("build/vectors"))
    asked = parser.parse_args()
    asked.vectors.mkdir(parents=True, exist_ok=True)
    sizes = list(_sizes())
    gains = np.empty((len(FILES), len(sizes)))
    with threadpool_limits(1):
        for row, name in enumerate(FILES):
            world = read_world(asked.data / f"{name}.jsonl.gz", asked.vectors)
            before = _log_loss(world, feature_map_of(world, FeatureSet.SIDES), asked.seeds)
            with_style = feature_map_of(world)
            for column, size in enumerate(sizes):
                gains[row, column] = before - _log_loss(
                    world, _resized(with_style, size), asked.seeds
                )
            print(name, " ".join(f"{gain:+.4f}" for gain in gains[row]), flush=True)
    shares = gains / np.abs(gains).max(axis=1, keepdims=True)
    for column, size in enumerate(sizes):
        mark = " (shipped)" if size == SHIPPED else ""
        means = " ".join(f"{gain:+.4f}" for gain in gains[:, column])
        print(
            f"typicality and length {size[0]}, style {size[1]}, directions {size[2]}{mark}: {means}"
        )
    shipped = sizes.index(SHIPPED)
    for row, name in enumerate(FILES):
        best = int(np.delete(shares, row, axis=0).mean(axis=0).argmax())
        print(
            f"{name} left out: {sizes[best]} is best on the others, and gains"
            f" {gains[row, best]:+.4f} here; shipped {gains[row, shipped]:+.4f};"
            f" its own best {gains[row].max():+.4f}"
        )


def _sizes() -> Iterator[Size]:
    for side in SIDES:
        for style in STYLES:
            yield side, style, 1.0
    for directions in DIRECTIONS:
        if directions != 1.0:
            yield SHIPPED[0], SHIPPED[1], directions


def _resized(feature_map: FeatureMap, size: Size) -> FeatureMap:
    side, style, directions = size
    factors = np.full(len(feature_map.side_scale), style / features.STYLE_SIZE)
    factors[:2] = side / features.SIDE_SIZE_BESIDE_STYLE
    return replace(
        feature_map,
        basis=feature_map.basis * directions,
        side_scale=feature_map.side_scale * factors,
    )


def _log_loss(world: World, feature_map: FeatureMap, splits: int) -> float:
    random = STRATEGIES["random"]
    most = min(int(world.pairs.sum() * 0.5), BUDGETS[-1])
    budgets = [budget for budget in BUDGETS if budget <= most]
    traces = [
        run_arm(world, feature_map, random, budgets, seed=0, number=number)
        for number in range(splits)
    ]
    return float(np.mean(means_of(traces)[Measure.LOG_LOSS]))


if __name__ == "__main__":
    main()
