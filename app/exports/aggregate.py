"""Several labels of one pair become one preference, or none."""

import math
from collections.abc import Sequence
from dataclasses import dataclass
from enum import StrEnum


class Aggregation(StrEnum):
    """How several labels of a pair become one preference."""

    MAJORITY = "majority"
    DAWID_SKENE = "dawid-skene"


@dataclass(slots=True)
class Answer:
    """One label of a pair: the response it prefers (None: a tie, or both bad), and how strongly."""

    preferred_response_id: int | None
    strength: int | None


@dataclass(slots=True)
class Preference:
    """What the labels of a pair say together.

    ``labels`` counts all of them, ties too; ``agreement`` is the share of the labels that prefer
    one response which prefer this one, in (0, 1]; ``strength`` is the mean strength of those that
    agree and give one, in [1, 3], or None where none does. ``confidence`` is what the least
    agreement bounds: the agreement, or the probability of the preference where annotators are
    weighted. ``evidence`` is how much speaks for it: the votes for it less those against, or the
    log odds; where preferences contradict each other in a circle, the least evidence gives way.
    """

    preferred_response_id: int
    labels: int
    agreement: float
    strength: float | None
    confidence: float
    evidence: float


def majority(answers: Sequence[Answer]) -> Preference | None:
    """The majority among the labels that prefer a response; None where there is none."""
    votes: dict[int, int] = {}
    for answer in answers:
        response_id = answer.preferred_response_id
        if response_id is not None:
            votes[response_id] = votes.get(response_id, 0) + 1
    total = sum(votes.values())
    for candidate, agreeing in votes.items():
        if 2 * agreeing > total:
            agreement = agreeing / total
            return Preference(
                preferred_response_id=candidate,
                labels=len(answers),
                agreement=agreement,
                strength=_mean_strength(answers, candidate),
                confidence=agreement,
                evidence=float(2 * agreeing - total),
            )
    return None


def weighted(answers: Sequence[Answer], response_id: int, log_odds: float) -> Preference | None:
    """The preference for ``response_id``, whose log odds the annotators' reliability gave.

    None where no label prefers it: against all who looked, a model alone prefers nothing.
    """
    votes = [
        answer.preferred_response_id == response_id
        for answer in answers
        if answer.preferred_response_id is not None
    ]
    if log_odds <= 0 or not any(votes):
        return None
    return Preference(
        preferred_response_id=response_id,
        labels=len(answers),
        agreement=sum(votes) / len(votes),
        strength=_mean_strength(answers, response_id),
        confidence=1 / (1 + math.exp(-log_odds)),
        evidence=log_odds,
    )


def _mean_strength(answers: Sequence[Answer], response_id: int) -> float | None:
    given = [
        answer.strength
        for answer in answers
        if answer.preferred_response_id == response_id and answer.strength is not None
    ]
    return sum(given) / len(given) if given else None
