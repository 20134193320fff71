import math

import numpy as np
import pytest

from app.exports.reliability import Votes, dawid_skene

Vote = tuple[int, int, int]
"""Pair, side, annotator."""


def votes_of(drawn: list[Vote]) -> Votes:
    pairs, sides, annotators = (
        np.array([each[place] for each in drawn], dtype=np.int64) for place in range(3)
    )
    return Votes(pair_ids=pairs, side=sides, annotator=annotators)


def _planted(reliability: list[float], pairs: int, seed: int) -> tuple[Votes, list[int]]:
    """A world in which the first response is the better of even pairs, and annotators err."""
    generator = np.random.default_rng(seed)
    truth = [1 if pair % 2 == 0 else -1 for pair in range(pairs)]
    drawn = [
        (pair, truth[pair] if generator.random() < chance else -truth[pair], annotator)
        for pair in range(pairs)
        for annotator, chance in enumerate(reliability)
    ]
    return votes_of(drawn), truth


def _transcribed(drawn: list[Vote]) -> tuple[dict[int, float], dict[int, float]]:
    """The same, sum by sum as it is written in the module: log odds by pair, p by annotator."""
    pairs = {pair for pair, _, _ in drawn}
    annotators = {annotator for _, _, annotator in drawn}
    first = {}
    for pair in pairs:
        sides = [side for each, side, _ in drawn if each == pair]
        first[pair] = sides.count(1) / len(sides)
    odds: dict[int, float] = {}
    chance: dict[int, float] = {}
    for _ in range(200):
        for one in annotators:
            own = [(pair, side) for pair, side, annotator in drawn if annotator == one]
            right = sum(first[pair] if side == 1 else 1 - first[pair] for pair, side in own)
            chance[one] = (4 + right) / (6 + len(own))
        for pair in pairs:
            odds[pair] = sum(
                side * math.log(chance[annotator] / (1 - chance[annotator]))
                for each, side, annotator in drawn
                if each == pair
            )
            first[pair] = 1 / (1 + math.exp(-odds[pair]))
    return odds, chance


def test_it_is_the_plain_transcription_of_the_formulas() -> None:
    votes, _ = _planted([0.9, 0.8, 0.7, 0.55], pairs=40, seed=1)
    drawn = list(
        zip(votes.pair_ids.tolist(), votes.side.tolist(), votes.annotator.tolist(), strict=True)
    )

    odds = dawid_skene(votes)

    expected, chance = _transcribed(drawn)
    assert odds.log_odds == pytest.approx([expected[pair] for pair in sorted(expected)], abs=1e-5)
    assert odds.reliability == pytest.approx([chance[one] for one in sorted(chance)], abs=1e-6)


def test_it_finds_the_planted_reliability_and_beats_the_majority() -> None:
    planted = [0.95, 0.9, 0.55, 0.55, 0.5]
    votes, truth = _planted(planted, pairs=2000, seed=2)

    odds = dawid_skene(votes)

    assert odds.reliability == pytest.approx(planted, abs=0.05)
    majority = np.bincount(votes.pair_ids, weights=votes.side)
    right = np.sign(odds.log_odds) == truth
    right_by_majority = np.sign(majority) == truth
    assert right.mean() > right_by_majority.mean() + 0.05


def test_one_good_annotator_outweighs_two_who_guess() -> None:
    good = [(pair, 1, 0) for pair in range(30)] + [(pair, 1, 3) for pair in range(30)]
    guesses = [(pair, 1 if pair % 2 else -1, 1 + pair % 3 % 2) for pair in range(30)]
    contested = [(99, 1, 0), (99, -1, 1), (99, -1, 2)]

    assert dawid_skene(votes_of(good + guesses + contested)).of(99) > 0


def test_a_label_each_is_followed_as_it_is() -> None:
    odds = dawid_skene(votes_of([(1, 1, 0), (2, -1, 0), (3, 1, 1), (4, 0, 1)]))

    assert odds.of(1) > 0
    assert odds.of(2) < 0
    assert odds.of(3) > 0
    assert odds.of(4) == odds.of(5) == 0.0


def test_labels_that_cancel_out_decide_nothing() -> None:
    assert dawid_skene(votes_of([(1, 1, 0), (1, -1, 1)])).of(1) == 0.0


def test_no_labels_give_no_odds() -> None:
    assert dawid_skene(votes_of([])).of(1) == 0.0


def test_it_agrees_with_crowd_kit_but_for_the_imaginary_labels() -> None:
    """Recorded from `OneCoinDawidSkene(n_iter=300, tol=1e-9)` of crowd-kit 1.4.2, which brings too
    much along to be a dependency; all 2000 of its labels were the same, too."""
    votes, _ = _planted([0.95, 0.9, 0.7, 0.55, 0.5], pairs=2000, seed=3)

    odds = dawid_skene(votes)

    recorded = [0.9489, 0.8988, 0.7230, 0.5479, 0.5011]
    assert odds.reliability == pytest.approx(recorded, abs=0.003)
