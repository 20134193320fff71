"""The pool of a split: prompts whose pairs can be asked, each once, and the labels so far."""

from dataclasses import replace

import numpy as np
from numpy.typing import NDArray

from app.selection.arrays import BoolArray, FloatArray, IntArray
from app.selection.candidates import PromptBlock, blocks_of
from app.selection.model.features import FeatureMap, prompt_vectors
from app.selection.model.preference import PreferenceModel, fit_preferences
from app.selection.ordering import next_pairs, plan_positions
from app.selection.pair_grid import pair_columns
from app.selection.simulation.world import SECOND, World, candidates
from app.selection.strategy import PairOrder, Strategy

_TARGETS = np.array([1.0, 0.5, 0.0])
"""Of the kinds of votes."""


class Pool:
    """Asks for pairs and keeps the answers: single votes, the same for every strategy."""

    def __init__(
        self,
        world: World,
        pool: IntArray,
        feature_map: FeatureMap,
        rng: np.random.Generator,
        *,
        labels_per_pair: int = 1,
        other_order: np.random.Generator | None = None,
    ) -> None:
        """Draw the order of the prompts and the answers to each pair.

        ``labels_per_pair``: how many of its votes each pair is given, as far as it has them.
        ``other_order``: what draws the order of the prompts, if not ``rng``; answers stay the same.
        """
        order_keys = rng.random(len(world.prompts))
        if other_order is not None:
            order_keys = other_order.random(len(world.prompts))
        answers = [_draw_answers(prompt.votes, labels_per_pair, rng) for prompt in world.prompts]
        self._feature_map = feature_map
        self.blocks: list[PromptBlock] = []
        self._answers: list[FloatArray] = []
        for block in blocks_of(candidates(world, order_keys, pool)):
            rows = np.stack([answers[place] for place in block.prompt_ids])
            self._answers.append(rows)
            self.blocks.append(replace(block, taken=np.isnan(rows[..., 0])))
        self._features = [feature_map.features(block) for block in self.blocks]
        self._differences: list[FloatArray] = []
        self._targets: list[FloatArray] = []
        self._prompts: list[IntArray] = []
        self._model: PreferenceModel | None = None
        self.labels = 0

    @property
    def open_pairs(self) -> int:
        """How many pairs can still be asked."""
        return int(sum((~block.taken).sum() for block in self.blocks))

    def ask(self, strategy: Strategy, orders: list[PairOrder], count: int) -> None:
        """Ask for ``count`` labels on the first open pairs of the plan that the orders give."""
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
            count,
        )

    def _answer(self, owners: IntArray, rows: IntArray, columns: IntArray, count: int) -> None:
        """Label these pairs, in this order, until there are ``count`` labels."""
        answers = np.empty((len(rows), self._answers[0].shape[-1]))
        for number in range(len(self.blocks)):
            mine = owners == number
            answers[mine] = self._answers[number][rows[mine], columns[mine]]
        is_label = ~np.isnan(answers)
        is_label &= np.cumsum(is_label).reshape(is_label.shape) <= count
        asked = is_label[:, 0]
        owners, rows, columns = owners[asked], rows[asked], columns[asked]
        differences = np.empty((len(rows), self._features[0].shape[-1]))
        prompts = np.empty(len(rows), dtype=np.int64)
        for number, block in enumerate(self.blocks):
            mine = owners == number
            if not mine.any():
                continue
            row, column = rows[mine], columns[mine]
            first, second = pair_columns(block.responses)
            features = self._features[number]
            differences[mine] = features[row, first[column]] - features[row, second[column]]
            prompts[mine] = block.prompt_ids[row]
            taken = block.taken.copy()
            taken[row, column] = True
            rounds = block.rounds + np.bincount(row, minlength=len(block.rounds))
            self.blocks[number] = replace(block, taken=taken, rounds=rounds)
        pair, _ = np.nonzero(is_label[asked])
        self._differences.append(differences[pair])
        self._prompts.append(prompts[pair])
        self._targets.append(answers[is_label])
        self.labels += len(pair)

    def model(self) -> PreferenceModel | None:
        """The model fitted to all answers; None before the first."""
        if self.labels == 0:
            return None
        if self._model is not None and self._model.labels == self.labels:
            return self._model
        start = None if self._model is None else self._model.posterior.mean
        posterior = fit_preferences(
            self._feature_map.feature_set,
            _joined(self._differences),
            _joined(self._targets),
            np.concatenate(self._prompts),
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
    is_label = block.taken & ~np.isnan(answers[..., 0])
    return np.asarray(is_label.any(axis=1), dtype=np.bool_)


def _joined(parts: list[FloatArray]) -> NDArray[np.float64]:
    return np.concatenate([np.asarray(part, dtype=np.float64) for part in parts])


def _draw_answers(votes: IntArray, most: int, rng: np.random.Generator) -> FloatArray:
    """Votes on every pair as targets, without putting back: ``(pairs, most)``; NaN: none left."""
    left = votes.copy()
    targets = np.full((len(votes), most), np.nan)
    for place in range(most):
        totals = left.sum(axis=1)
        shares = np.cumsum(left, axis=1) / np.maximum(totals, 1)[:, None]
        draws = rng.random(len(votes))
        kind = (draws[:, None] >= shares).sum(axis=1).clip(max=SECOND)
        is_left = totals > 0
        targets[is_left, place] = _TARGETS[kind[is_left]]
        left[is_left, kind[is_left]] -= 1
    return targets
