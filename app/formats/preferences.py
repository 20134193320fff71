"""Preferences that a ranking implies. Pure."""

from collections.abc import Iterable, Mapping
from typing import Final

from app.errors import InvalidInput
from app.formats.format import Preference

MAX_RANKED: Final = 64
"""A prompt has no more responses."""


def ranked(levels: Mapping[int, float], annotator: str | None = None) -> list[Preference]:
    """Every preference that a ranking implies.

    Args:
        levels: by the response's index; higher is better, and the same level is a tie.
        annotator: who made the ranking.

    Raises:
        InvalidInput: it ranks more responses than a prompt may have.
    """
    if len(levels) > MAX_RANKED:
        raise InvalidInput(f"{len(levels)} responses are ranked, and a prompt has {MAX_RANKED}")
    indexes = sorted(levels)
    return [
        Preference(
            (one, other),
            None if levels[one] == levels[other] else max((one, other), key=levels.__getitem__),
            annotator,
        )
        for start, one in enumerate(indexes, start=1)
        for other in indexes[start:]
    ]


def best_of(best: int, others: Iterable[int], annotator: str | None = None) -> list[Preference]:
    """One response over each of the others."""
    return [
        Preference((min(best, other), max(best, other)), best, annotator)
        for other in others
        if other != best
    ]
