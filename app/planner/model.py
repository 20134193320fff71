"""The preference model that a project's planner chooses with, and when it is fitted anew."""

import time
from dataclasses import dataclass
from typing import Final

from app.planner.queries.outlook import Outlook
from app.preference.service import fit_project
from app.selection.model.preference import PreferenceModel
from app.selection.strategies.learning import FIRST_LABELS
from app.storage.arm import Arm
from app.storage.sessions import Sessions

ARMS: Final = (Arm.STRATEGY, Arm.IMPORTED)
"""What the model learns from: exploration labels stay a test set that it has never seen."""
_GROWTH = 0.1
_REST = 9.0
"""Fitting, and planning anew for it, take a tenth of the planner's time at most."""


@dataclass(frozen=True, slots=True)
class Taught:
    """What the labels have taught, up to a number of them."""

    counted_labels: int
    """How many the project had; of all arms."""
    model: PreferenceModel | None


class ModelKeeper:
    """Fits the model when labels have grown by a tenth, and keeps it in memory."""

    def __init__(self) -> None:
        self.taught: Taught | None = None
        self.fits = 0
        self._rest_until = 0.0

    @property
    def model(self) -> PreferenceModel | None:
        """The last one that was fitted; None before the first labels, or after ``forget``."""
        return None if self.taught is None else self.taught.model

    @property
    def is_resting(self) -> bool:
        """What it did last has cost so much that it has to wait."""
        return time.monotonic() < self._rest_until

    def is_due(self, counted_labels: int) -> bool:
        """Whether so many labels call for a new model: the first ones, then a tenth more (or less).

        Fewer labels than before have been withdrawn, or erased with their prompts.
        """
        if self.taught is None:
            return counted_labels >= FIRST_LABELS
        if self.is_resting:
            return False
        change = abs(counted_labels - self.taught.counted_labels)
        return change > 0 and change >= _GROWTH * self.taught.counted_labels

    def rest(self, seconds: float) -> None:
        """Wait, for so many seconds that were spent on a model or on what follows from it."""
        self._rest_until = max(self._rest_until, time.monotonic()) + _REST * seconds

    async def fit(self, sessions: Sessions, project: Outlook) -> None:
        """Fit the model to the labels there are now."""
        assert project.dimensions is not None
        began = time.monotonic()
        async with sessions() as session:
            model = await fit_project(session, project.project_id, project.dimensions, arms=ARMS)
        self.taught = Taught(project.counted_labels, model)
        self.fits += 1
        self.rest(time.monotonic() - began)

    def forget(self) -> None:
        """The strategy learns nothing: keep nothing."""
        self.taught = None
