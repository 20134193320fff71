"""How well the first n labels teach to answer the exploration labels, for rising n. Pure.

Two chances move such a curve: which prompts it is tested on, and which labels it was trained on.
The first is bootstrapped as usual, the second by one Newton step away from the fitted weights (the
infinitesimal jackknife, Jaeckel 1972; Giordano et al., *A Swiss Army Infinitesimal Jackknife*,
arXiv 1806.00550). Both draw groups of near-duplicate prompts, not labels.
"""

from dataclasses import dataclass, replace
from typing import Final

import numpy as np

from app.preference.answers import Answers, Floats
from app.preference.fit import fit_answers
from app.selection.arrays import IntArray
from app.selection.model.posterior import Posterior, sigmoid

FIRST_POINT: Final = 50
REPLICATES: Final = 400


@dataclass(frozen=True, slots=True)
class Learning:
    """Accuracies for rising numbers of labels."""

    labels: IntArray
    """``(points,)``, rising."""
    accuracy: Floats
    """The share of test pairs that the model orders as the majority of their labels: ``(points,)``.
    """
    tested: Floats
    """The same, had other prompts been drawn for the test: ``(replicates, points)``."""
    trained: Floats
    """How far it would be off, had other labels been trained on: ``(replicates, points)``."""


def sizes_of(labels: int) -> list[int]:
    """50, 100, 200, 400 … and all of them; none below 50."""
    if labels < FIRST_POINT:
        return []
    doubling = [FIRST_POINT]
    while doubling[-1] * 2 < labels:
        doubling.append(doubling[-1] * 2)
    return doubling if labels == FIRST_POINT else [*doubling, labels]


def without_groups(answers: Answers, groups: IntArray) -> Answers:
    """The labels on prompts of other groups."""
    return answers.part(~np.isin(answers.groups, groups))


def majorities(answers: Answers) -> Answers:
    """One answer a pair, turned so that the majority prefers its first response.

    A pair without a majority (a tie, above all) has no right answer, and is left out.
    """
    _, first, pair = np.unique(answers.pairs, return_index=True, return_inverse=True)
    votes = np.bincount(pair, weights=np.sign(answers.targets - 0.5), minlength=len(first))
    decided = np.flatnonzero(votes)
    one_each = first[decided]
    turned = np.asarray(answers.differences[one_each] * np.sign(votes[decided])[:, None])
    ones = np.ones(len(decided))
    return replace(answers.part(one_each), differences=turned, targets=ones, weights=ones)


def learn(training: Answers, test: Answers, rng: np.random.Generator) -> Learning:
    """Train on the first 50, 100, 200 … and all labels, and test each model.

    Args:
        training: the strategy's labels and those made elsewhere, none of a group in ``test``.
        test: majorities of exploration pairs, one at least.
        rng: draws the replicates.
    """
    sizes = sizes_of(len(training))
    of_test, of_training = _draws(test.groups, rng), _draws(training.groups, rng)
    accuracy, tested, trained = [], [], []
    start: Floats | None = None
    for size in sizes:
        known = training.part(slice(size))
        fit = fit_answers(known, start)
        start = fit.mean
        right = _right(test.differences @ fit.mean)
        shares = _right(test.differences @ _moved(fit, known, of_training[:, :size])).mean(axis=0)
        accuracy.append(right.mean())
        tested.append(of_test @ right / of_test.sum(axis=1))
        trained.append(shares - shares.mean())
    return Learning(
        np.array(sizes, dtype=np.int64),
        np.array(accuracy),
        np.stack(tested, axis=1) if sizes else np.empty((REPLICATES, 0)),
        np.stack(trained, axis=1) if sizes else np.empty((REPLICATES, 0)),
    )


def _right(gaps: Floats) -> Floats:
    """1 where the gap is on the majority's side, ½ where there is none."""
    return np.asarray((np.sign(gaps) + 1) / 2)


def _draws(groups: IntArray, rng: np.random.Generator) -> Floats:
    """How often each label is drawn when groups are drawn with replacement:
    ``(replicates, labels)``.
    """
    _, group = np.unique(groups, return_inverse=True)
    count = int(group.max(initial=-1)) + 1
    if not count:
        return np.empty((REPLICATES, 0))
    drawn = rng.multinomial(count, np.full(count, 1 / count), size=REPLICATES)
    return np.asarray(drawn[:, group], dtype=np.float64)


def _moved(fit: Posterior, known: Answers, draws: Floats) -> Floats:
    """The fitted weights, had the labels been drawn so often: ``(features, replicates)``."""
    slope = known.weights * (known.targets - sigmoid(known.differences @ fit.mean))
    pulls = (known.differences * slope[:, None]).T @ (draws - 1).T
    return np.asarray(fit.mean[:, None] + np.linalg.solve(fit.precision, pulls))
