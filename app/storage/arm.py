"""The arms of the plan."""

from enum import StrEnum


class Arm(StrEnum):
    """Why a pair is in the plan."""

    STRATEGY = "strategy"
    """The project's strategy chose it."""
    EXPLORATION = "exploration"
    """It was drawn at random, for honest measurement."""
    IMPORTED = "imported"
    """It is known from imported labels alone, and is never handed out."""
    AUTOMATIC = "automatic"
    """It is stored for the labels of models alone; the planner may still choose it."""
