"""Labels from a known reward, as arrays."""

from dataclasses import replace

import numpy as np

from app.preference.answers import Answers
from app.preference.learning_curve import majorities
from app.selection.arrays import Float64Array

FEATURES = 24


class PlantedReward:
    """A reward over features whose spread falls as those of real texts does."""

    def __init__(self, strength: float, seed: int = 0) -> None:
        """Draw the reward; ``strength`` 0 is a coin."""
        self._rng = np.random.default_rng([seed, 11])
        self._spread = 1 / np.arange(1, FEATURES + 1)
        self._spread *= np.sqrt(2 / (self._spread**2).sum())
        self._weights = strength * self._rng.standard_normal(FEATURES)

    def labels(self, count: int) -> Answers:
        """Labels of as many prompts."""
        differences: Float64Array = self._rng.standard_normal((count, FEATURES)) * self._spread
        chance = 1 / (1 + np.exp(-differences @ self._weights))
        targets = (self._rng.random(count) < chance).astype(np.float64)
        places = np.arange(count)
        return Answers(differences, targets, np.ones(count), places, places, places)

    def test(self, count: int) -> Answers:
        """Labels of as many other prompts, which no label to train on is a group of."""
        drawn = self.labels(count)
        apart = replace(drawn, groups=-1 - drawn.groups)
        assert len(majorities(apart)) == count
        return apart
