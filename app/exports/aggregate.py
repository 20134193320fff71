"""Several labels of one pair become one preference, or none."""

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Answer:
    """One label of a pair: the response it prefers (None: a tie, or both bad), and how strongly."""

    preferred_response_id: int | None
    strength: int | None


@dataclass(frozen=True, slots=True)
class Preference:
    """What the labels of a pair say together.

    ``labels`` counts all of them, ties too; ``agreement`` is the share of the labels that prefer
    one response which prefer this one, in (0.5, 1]; ``strength`` is the mean strength of those that
    agree and give one, in [1, 3], or None where none does.
    """

    preferred_response_id: int
    labels: int
    agreement: float
    strength: float | None


def aggregate(answers: Sequence[Answer]) -> Preference | None:
    """The majority among the labels that prefer a response; None where there is none."""
    votes = Counter(
        answer.preferred_response_id
        for answer in answers
        if answer.preferred_response_id is not None
    )
    for candidate, agreeing in votes.items():
        if 2 * agreeing > votes.total():
            return Preference(
                preferred_response_id=candidate,
                labels=len(answers),
                agreement=agreeing / votes.total(),
                strength=_mean_strength(answers, candidate),
            )
    return None


def _mean_strength(answers: Sequence[Answer], response_id: int) -> float | None:
    given = [
        answer.strength
        for answer in answers
        if answer.preferred_response_id == response_id and answer.strength is not None
    ]
    return sum(given) / len(given) if given else None
