"""Which rewards an export should give: from labels alone, from the model alone, or from both.

    python -m benchmarks.reward_models FILE [--pairs 2] [--splits 20]

Of every prompt, so many pairs get one vote each, drawn from their votes. Printed, with 95%
intervals over the splits: the share of the other pairs between labelled responses which the rewards
order as gold does (the file's scores, else the majority of all votes); the share of labels that the
rewards side with; and the rank correlation, over the labelled pairs, of the margin
max(0, r_chosen − r_rejected) with how far the chosen is ahead by gold.
"""

import argparse
from collections.abc import Iterator
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from scipy.stats import spearmanr  # type: ignore[import-untyped]  # ships no types

from app.cli.simulate.labelled_file import encode_file, read_labelled_file
from app.exports.rewards import Comparisons, posterior_mode
from app.selection.candidates import blocks_of
from app.selection.model.features import fit_feature_map, interactions
from app.selection.model.posterior import fit_posterior
from app.selection.model.preference import PRIOR_PRECISION
from app.selection.pair_grid import pair_columns
from app.selection.simulation.world import FIRST, SECOND, World, candidates

Floats = NDArray[np.float64]
_PRECISIONS = (1.0, 2.0, 4.0)


def main() -> None:
    """Print a row for each model of rewards."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else None)
    parser.add_argument("file", type=Path)
    parser.add_argument("--pairs", type=int, default=2, help="labelled pairs of each prompt")
    parser.add_argument("--splits", type=int, default=20)
    parser.add_argument("--votes", action="store_true", help="gold are the votes, not the scores")
    asked = parser.parse_args()
    from app.embedding.load import load_encoder  # noqa: PLC0415 - takes seconds to load

    file = read_labelled_file(asked.file)
    world = file.world(encode_file(file, load_encoder(None, None).encode, lambda _: None))
    pairs = Pairs(world, by_votes=asked.votes)
    found: dict[str, list[tuple[float, float, float]]] = {}
    for split in range(asked.splits):
        labelled, share = pairs.draw(asked.pairs, np.random.default_rng(split))
        for name, rewards in pairs.models(labelled, share):
            found.setdefault(name, []).append(pairs.measure(rewards, labelled, share))
    print(f"{asked.file.name}: {asked.pairs} pairs a prompt; held out, agree, margin")
    for name, figures in found.items():
        means, spread = np.nanmean(figures, axis=0), np.nanstd(figures, axis=0)
        width = 1.96 * spread / np.sqrt(asked.splits)
        cells = [f"{mean:.3f} ± {half:.3f}" for mean, half in zip(means, width, strict=True)]
        print(f"{name}: {', '.join(cells)}")


class Pairs:
    """All pairs of a file, their responses numbered on."""

    def __init__(self, world: World, *, by_votes: bool) -> None:
        offsets = world.response_offsets
        everything = np.arange(len(world.prompts))
        feature_map = fit_feature_map(
            blocks_of(candidates(world, np.zeros(len(everything)), everything))
        )
        self.phi = np.concatenate(
            [
                interactions(each.embedding[None], each.responses[None])[0] @ feature_map.basis
                for each in world.prompts
            ]
        )
        grids = [pair_columns(len(each.responses)) for each in world.prompts]
        self.first = np.concatenate([o + g[0] for o, g in zip(offsets, grids, strict=True)])
        self.second = np.concatenate([o + g[1] for o, g in zip(offsets, grids, strict=True)])
        self.prompt = np.repeat(everything, [len(grid[0]) for grid in grids])
        self.votes = np.concatenate([each.votes for each in world.prompts])
        total = np.maximum(1, self.votes.sum(axis=1))
        self.gold = (self.votes[:, FIRST] - self.votes[:, SECOND]) / total
        self.gold[self.votes.sum(axis=1) == 0] = np.nan
        if not by_votes and all(each.gold is not None for each in world.prompts):
            scores = np.concatenate([each.gold for each in world.prompts if each.gold is not None])
            self.gold = scores[self.first] - scores[self.second]

    def draw(self, count: int, rng: np.random.Generator) -> tuple[NDArray[np.int64], Floats]:
        """Some pairs of each prompt, and a vote on each: 1, ½ or 0."""
        order = rng.permutation(np.flatnonzero(self.votes.sum(axis=1)))
        order = order[np.argsort(self.prompt[order], kind="stable")]
        _, starts = np.unique(self.prompt[order], return_index=True)
        rank = np.arange(len(order)) - np.repeat(starts, np.diff([*starts, len(order)]))
        labelled = order[rank < count]
        votes = self.votes[labelled]
        drawn = rng.random(len(labelled)) * votes.sum(axis=1)
        choice = (drawn[:, None] >= votes.cumsum(axis=1)).sum(axis=1)
        return labelled, np.array([1.0, 0.5, 0.0])[choice]

    def models(self, labelled: NDArray[np.int64], share: Floats) -> Iterator[tuple[str, Floats]]:
        """The rewards of all responses, by each model."""
        first, second = self.first[labelled], self.second[labelled]
        comparisons = Comparisons(
            prompt_ids=np.empty(0, dtype=np.int64),
            response_ids=np.empty(0, dtype=np.int64),
            responses=np.empty((0, 0), dtype=np.float32),
            prompts=np.empty((0, 0), dtype=np.float32),
            first=first,
            second=second,
            share=share,
            weight=np.ones(len(share)),
        )
        fit = fit_posterior(
            self.phi[first] - self.phi[second], share, prior_precision=PRIOR_PRECISION
        )
        expected = np.asarray(self.phi @ fit.mean, dtype=np.float64)
        yield "labels alone", posterior_mode(comparisons, np.zeros(len(expected)), 1.0)
        yield "model alone", expected
        for precision in _PRECISIONS:
            rewards = posterior_mode(comparisons, expected, precision)
            yield f"both, precision {precision:g}", rewards

    def measure(
        self, rewards: Floats, labelled: NDArray[np.int64], share: Floats
    ) -> tuple[float, float, float]:
        """Held-out pairs ordered as gold has them, labels sided with, margins against gold."""
        gaps = rewards[self.first] - rewards[self.second]
        known = np.zeros(len(rewards), dtype=np.bool_)
        known[self.first[labelled]] = known[self.second[labelled]] = True
        held = known[self.first] & known[self.second] & np.isfinite(self.gold) & (self.gold != 0)
        held[labelled] = False
        right = (1 + np.sign(gaps[held] * self.gold[held])) / 2
        side = np.sign(share - 0.5)
        ahead = (gaps[labelled] * side)[side != 0]
        margin, gold = np.maximum(0.0, ahead), (self.gold[labelled] * side)[side != 0]
        correlation = spearmanr(margin, gold)[0] if np.ptp(margin) > 1e-9 else np.nan
        return float(right.mean()) if len(right) else np.nan, float((ahead > 0).mean()), correlation


if __name__ == "__main__":
    main()
