"""Does the interval of the curve's forecast hold what a far longer run measures?

    python -m benchmarks.curve_coverage [--projects 20]

Planted projects: features whose spread falls as a power of their number, a normal reward over them,
500 exploration labels. The curve of the first n labels is continued to 1.5, 4 and 10 times as many,
and compared with what models trained on those do on 20,000 fresh pairs.
"""

import argparse
from dataclasses import dataclass

import numpy as np

from app.preference.answers import Answers, fit_answers
from app.preference.growth import fit_growth
from app.preference.learning_curve import majorities, measure_learning_curve
from app.selection.arrays import Float64Array

FACTORS = (1.5, 4.0, 10.0)
TEST, FRESH = 500, 20_000


@dataclass(frozen=True)
class World:
    """How many features, how fast their spread falls, how strong the reward is."""

    features: int
    decay: float
    strength: float
    labels: int


WORLDS = (
    World(24, 1.0, 4.0, 400),
    World(128, 1.0, 3.0, 400),
    World(128, 1.0, 3.0, 1600),
    World(128, 0.5, 2.0, 800),
    World(128, 0.5, 6.0, 400),
    World(128, 0.5, 6.0, 1600),
)


def main() -> None:
    """Print a row for each world."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else None)
    parser.add_argument("--projects", type=int, default=20)
    projects = parser.parse_args().projects
    print("features decay strength labels | held at", *(f"x{factor:g}" for factor in FACTORS))
    for world in WORLDS:
        held = np.mean([_held(world, seed) for seed in range(projects)], axis=0)
        print(
            f"{world.features:8} {world.decay:5} {world.strength:8} {world.labels:6} |        ",
            *(f"{share:.2f}" for share in held),
            flush=True,
        )


def _held(world: World, seed: int) -> list[bool]:
    rng = np.random.default_rng([seed, 7])
    spread: Float64Array = np.arange(1.0, world.features + 1) ** -world.decay
    spread *= np.sqrt(2 / (spread**2).sum())
    reward = world.strength * rng.standard_normal(world.features)
    longest = int(world.labels * max(FACTORS))
    labels = _labels(longest, spread, reward, rng)
    fresh = majorities(_labels(FRESH, spread, reward, rng))
    test = majorities(_labels(TEST, spread, reward, rng))
    growth = fit_growth(
        measure_learning_curve(labels.select(slice(world.labels)), test, np.random.default_rng(0))
    )
    found = []
    for factor in FACTORS:
        more = labels.select(slice(int(world.labels * factor)))
        weights = fit_answers(more).mean
        truth = float((fresh.differences @ weights > 0).mean())
        expected = growth.accuracy(world.labels * factor)
        found.append(expected.low <= truth <= expected.high)
    return found


def _labels(
    count: int, spread: Float64Array, reward: Float64Array, rng: np.random.Generator
) -> Answers:
    differences = rng.standard_normal((count, len(spread))) * spread
    chance = 1 / (1 + np.exp(-differences @ reward))
    targets = (rng.random(count) < chance).astype(np.float64)
    places = np.arange(count)
    return Answers(differences, targets, np.ones(count), places, places, places)


if __name__ == "__main__":
    main()
