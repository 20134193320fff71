"""Labels as differences of features, and the posterior that they give. Pure."""

from collections.abc import Sequence
from dataclasses import dataclass, fields

import numpy as np

from app.selection.arrays import BoolArray, Float64Array, IntArray
from app.selection.model.posterior import Posterior, fit_posterior
from app.selection.model.preference import PRIOR_PRECISION


@dataclass(frozen=True, slots=True)
class Answers:
    """Labels as differences of features, in the order in which they came."""

    differences: Float64Array
    """φ of the pair's first response minus φ of its second: ``(labels, features)``."""
    targets: Float64Array
    """1: the first is preferred, 0: the second, ½: a tie; ``(labels,)``."""
    weights: Float64Array
    """Strengths, ``(labels,)``."""
    groups: IntArray
    """The group of each label's prompt: ``(labels,)``."""
    pairs: IntArray
    """The pair of each label: ``(labels,)``."""
    prompts: IntArray
    """The prompt of each label: ``(labels,)``."""

    def __len__(self) -> int:
        return len(self.targets)

    def select(self, rows: BoolArray | slice | IntArray) -> "Answers":
        """The labels in these rows."""
        return Answers(**{field.name: getattr(self, field.name)[rows] for field in fields(self)})


def join_answers(parts: Sequence[Answers]) -> Answers:
    """All the labels of the parts, one after the other."""
    return Answers(
        **{
            field.name: np.concatenate([getattr(part, field.name) for part in parts])
            for field in fields(Answers)
        }
    )


def fit_answers(answers: Answers, start: Float64Array | None = None) -> Posterior:
    """The posterior under the project's prior; see ``fit_posterior``."""
    return fit_posterior(
        answers.differences,
        answers.targets,
        prior_precision=PRIOR_PRECISION,
        weights=answers.weights,
        start=start,
    )
