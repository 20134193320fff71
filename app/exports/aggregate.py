"""Combine the labels of a pair into one preference, or none."""

import math
from collections.abc import Sequence
from dataclasses import dataclass
from enum import StrEnum


class Aggregation(StrEnum):
    """How the labels of a pair are combined into one preference."""

    MAJORITY = "majority"
    DAWID_SKENE = "dawid-skene"


@dataclass(slots=True)
class Answer:
    """One label of a pair: the response it prefers (None: a tie, or both bad), and how strongly."""

    preferred_response_id: int | None
    strength: int | None


@dataclass(slots=True)
class Preference:
    """The combined preference of a pair's labels."""

    preferred_response_id: int
    labels: int
    """All labels, ties included."""
    agreement: float
    """Of the labels that prefer a response, the share that prefers this one, in (0, 1]."""
    strength: float | None
    """The mean strength of the labels that agree, in [1, 3]; None if none has a strength."""
    confidence: float
    """What ``min_agreement`` is compared with: the agreement, or with weighted annotators the
    probability of the preference.
    """
    evidence: float
    """Votes for it minus votes against it, or the log odds. Of preferences that contradict each
    other in a cycle, the one with the least evidence is dropped.
    """


def majority(answers: Sequence[Answer]) -> Preference | None:
    """The majority of the labels that prefer a response; None if there is no majority."""
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
    """The preference for ``response_id``, given its log odds from the annotators' reliability.

    None if no label prefers it: the model alone never overrules all annotators.
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
        confidence=probability(log_odds),
        evidence=log_odds,
    )


def probability(log_odds: float) -> float:
    """σ(log_odds), also where e to its power would be too large for a number."""
    if log_odds < 0:
        return 1 - probability(-log_odds)
    return 1 / (1 + math.exp(-log_odds))


def _mean_strength(answers: Sequence[Answer], response_id: int) -> float | None:
    given = [
        answer.strength
        for answer in answers
        if answer.preferred_response_id == response_id and answer.strength is not None
    ]
    return sum(given) / len(given) if given else None
