"""Weigh labels by how reliable each annotator is: Dawid and Skene. Pure.

A. P. Dawid and A. M. Skene, *Maximum Likelihood Estimation of Observer Error-Rates Using the EM
Algorithm* (1979). Which response of a pair is its first means nothing, so an annotator's confusion
matrix is symmetric and has one number: the probability p of the better response ("one coin").
E-step: the log odds that the first response is the better are the sum of ±log(p/(1-p)) over the
labels. M-step: p is the expected share of an annotator's labels that are right, with ``_PRIOR``
imaginary labels added, so that a few labels never make p 0 or 1.
"""

from dataclasses import dataclass
from typing import Final

import numpy as np

from app.selection.arrays import Float64Array, IntArray

_PRIOR: Final = (4.0, 2.0)
"""Imaginary labels of each annotator: right ones and wrong ones."""
_ROUNDS: Final = 200
_SETTLED: Final = 1e-9


@dataclass(frozen=True, slots=True)
class Votes:
    """The labels of a project, in the order of their ids; every array is ``(labels,)``."""

    pair_ids: IntArray
    side: IntArray
    """1 where the pair's first response is preferred, -1 where its second is, 0 for a tie."""
    annotator: IntArray
    """The number of the annotator, from 0."""


@dataclass(frozen=True, slots=True)
class PairOdds:
    """The log odds that a pair's first response is the better, ``(pairs,)``; 0: undecided."""

    pair_ids: IntArray
    """Ascending."""
    log_odds: Float64Array
    reliability: Float64Array
    """Each annotator's probability of the better response, ``(annotators,)``."""

    def of(self, pair_id: int) -> float:
        """The log odds of one pair; 0 where it has no left/right label."""
        place = int(np.searchsorted(self.pair_ids, pair_id))
        if place < len(self.pair_ids) and self.pair_ids[place] == pair_id:
            return float(self.log_odds[place])
        return 0.0


def dawid_skene(votes: Votes) -> PairOdds:
    """The log odds of every pair with a left/right label. Starts from the share of the votes."""
    is_taken = votes.side != 0
    side = votes.side[is_taken].astype(np.float64)
    annotator = votes.annotator[is_taken]
    pair_ids, pair = np.unique(votes.pair_ids[is_taken], return_inverse=True)
    annotators = int(votes.annotator.max(initial=-1)) + 1
    counts = np.bincount(annotator, minlength=annotators)
    right_prior, wrong_prior = _PRIOR
    labels_per_pair = np.bincount(pair, minlength=len(pair_ids))
    first: Float64Array = np.bincount(pair, weights=(side > 0).astype(np.float64)) / labels_per_pair
    reliability: Float64Array = np.zeros(annotators)
    log_odds: Float64Array = np.zeros(len(pair_ids))
    for _ in range(_ROUNDS):
        right = np.where(side > 0, first[pair], 1 - first[pair])
        before = reliability
        reliability = (
            right_prior + np.bincount(annotator, weights=right, minlength=annotators)
        ) / (right_prior + wrong_prior + counts)
        logit = np.log(reliability) - np.log1p(-reliability)
        summed = np.bincount(pair, weights=side * logit[annotator], minlength=len(pair_ids))
        log_odds = np.asarray(summed, dtype=np.float64)
        first = 1 / (1 + np.exp(-log_odds))
        if np.abs(reliability - before).max(initial=0.0) < _SETTLED:
            break
    # Odds that cancel out except for rounding errors are undecided.
    log_odds[np.abs(log_odds) < _SETTLED] = 0.0
    return PairOdds(pair_ids, log_odds, reliability)
