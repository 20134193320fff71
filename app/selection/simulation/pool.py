"""The pool of a split: prompts whose pairs can be asked, each once, and the labels so far."""

from dataclasses import replace

import numpy as np
from numpy.typing import NDArray

from app.selection.arrays import BoolArray, FloatArray, IntArray
from app.selection.candidates import PromptBlock, blocks_of
from app.selection.model.features import FeatureMap, prompt_vectors
from app.selection.model.posterior import fit_posterior
from app.selection.model.preference import PRIOR_PRECISION, PreferenceModel
from app.selection.ordering import next_pairs, plan_positions
from app.selection.pair_grid import pair_columns
from app.selection.simulation.world import FIRST, TIE, World, candidates
from app.selection.strategy import PairOrder, Strategy

_TARGET_OF_A_TIE = 0.5


class Pool:
    """Asks for pairs and keeps the answers. An answer is one vote, the same for every strategy."""

    def __init__(
        self, world: World, pool: IntArray, feature_map: FeatureMap, rng: np.random.Generator
    ) -> None:
        """Draw the order of the prompts and the answer to each pair."""
        order_keys = rng.random(len(world.prompts))
        answers = [_draw_answers(prompt.votes, rng) for prompt in world.prompts]
        self._feature_map = feature_map
        self.blocks: list[PromptBlock] = []
        self._answers: list[FloatArray] = []
        for block in blocks_of(candidates(world, order_keys, pool)):
            rows = np.stack([answers[place] for place in block.prompt_ids])
            self._answers.append(rows)
            self.blocks.append(replace(block, taken=np.isnan(rows)))
        self._features = [feature_map.features(block) for block in self.blocks]
        self._differences: list[FloatArray] = []
        self._targets: list[FloatArray] = []
        self._model: PreferenceModel | None = None
        self.labels = 0

    @property
    def open_pairs(self) -> int:
        """How many pairs can still be asked."""
        return int(sum((~block.taken).sum() for block in self.blocks))

    def ask(self, strategy: Strategy, orders: list[PairOrder], count: int) -> None:
        """Ask the first ``count`` open pairs of the plan that the orders give."""
        positions, owners, rows, columns = [], [], [], []
        for number, (block, order) in enumerate(zip(self.blocks, orders, strict=True)):
            chosen = next_pairs(order, block.taken, block.taken.shape[1])
            position = plan_positions(strategy, block, order, chosen, after_all_others=False)
            row, at = np.nonzero(chosen >= 0)
            positions.append(position[row, at])
            owners.append(np.full(len(row), number))
            rows.append(row)
            columns.append(chosen[row, at])
        first = np.argsort(np.concatenate(positions), kind="stable")[:count]
        self._answer(
            np.concatenate(owners)[first],
            np.concatenate(rows)[first],
            np.concatenate(columns)[first],
        )

    def _answer(self, owners: IntArray, rows: IntArray, columns: IntArray) -> None:
        differences = np.empty((len(rows), self._features[0].shape[-1]))
        targets = np.empty(len(rows))
        for number, block in enumerate(self.blocks):
            mine = owners == number
            if not mine.any():
                continue
            row, column = rows[mine], columns[mine]
            first, second = pair_columns(block.responses)
            features = self._features[number]
            differences[mine] = features[row, first[column]] - features[row, second[column]]
            targets[mine] = self._answers[number][row, column]
            taken = block.taken.copy()
            taken[row, column] = True
            rounds = block.rounds + np.bincount(row, minlength=len(block.rounds))
            self.blocks[number] = replace(block, taken=taken, rounds=rounds)
        self._differences.append(differences)
        self._targets.append(targets)
        self.labels += len(rows)

    def model(self) -> PreferenceModel | None:
        """The model fitted to all answers; None before the first."""
        if self.labels == 0:
            return None
        start = None if self._model is None else self._model.posterior.mean
        posterior = fit_posterior(
            _joined(self._differences),
            _joined(self._targets),
            prior_precision=PRIOR_PRECISION,
            start=start,
        )
        self._model = PreferenceModel(
            self._feature_map, posterior, self.labels, self._labelled_prompts()
        )
        return self._model

    def _labelled_prompts(self) -> FloatArray:
        parts = [
            prompt_vectors(block)[_labelled(block, answers)]
            for block, answers in zip(self.blocks, self._answers, strict=True)
        ]
        return _joined(parts)


def _labelled(block: PromptBlock, answers: FloatArray) -> BoolArray:
    return np.asarray((block.taken & ~np.isnan(answers)).any(axis=1), dtype=np.bool_)


def _joined(parts: list[FloatArray]) -> NDArray[np.float64]:
    return np.concatenate([np.asarray(part, dtype=np.float64) for part in parts])


def _draw_answers(votes: IntArray, rng: np.random.Generator) -> FloatArray:
    """One vote on every pair as a target, ``(pairs,)``; NaN: no votes."""
    draws = rng.random(len(votes))
    totals = votes.sum(axis=1)
    shares = np.cumsum(votes, axis=1) / np.maximum(totals, 1)[:, None]
    said_first = draws < shares[:, FIRST]
    said_tie = ~said_first & (draws < shares[:, TIE])
    targets = np.where(said_first, 1.0, np.where(said_tie, _TARGET_OF_A_TIE, 0.0))
    targets[totals == 0] = np.nan
    return targets
