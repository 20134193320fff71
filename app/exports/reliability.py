"""How far to trust each annotator, and what their labels say together: Dawid and Skene. Pure.

A. P. Dawid and A. M. Skene, *Maximum Likelihood Estimation of Observer Error-Rates Using the EM
Algorithm* (1979). Which response of a pair is its first means nothing, so an annotator's confusion
matrix is symmetric and has one number: the probability p of the better response ("one coin").
E-step: the log odds that the first response is the better are the sum of ±log(p/(1-p)) over the
labels. M-step: p is the expected share of an annotator's labels that are right, with ``_PRIOR``
imaginary ones, so that nobody is trusted for ever or never after few labels.
"""

from dataclasses import dataclass
from typing import Final

import numpy as np

from app.exports.votes import FloatArray, IntArray, Votes

_PRIOR: Final = (4.0, 2.0)
"""Imaginary labels of each annotator: right ones and wrong ones."""
_ROUNDS: Final = 200
_SETTLED: Final = 1e-9


@dataclass(frozen=True, slots=True)
class PairOdds:
    """The log odds that a pair's first response is the better, ``(pairs,)``; 0: undecided."""

    pair_ids: IntArray
    """Rising."""
    log_odds: FloatArray
    reliability: FloatArray
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
    first: FloatArray = np.bincount(pair, weights=(side > 0).astype(np.float64)) / labels_per_pair
    reliability: FloatArray = np.zeros(annotators)
    log_odds: FloatArray = np.zeros(len(pair_ids))
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
    # What cancels out but for the last digits is undecided.
    log_odds[np.abs(log_odds) < _SETTLED] = 0.0
    return PairOdds(pair_ids, log_odds, reliability)
