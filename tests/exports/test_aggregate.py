import math

import pytest

from app.exports.aggregate import Answer, Preference, majority, weighted

A, B, TIE = 1, 2, None


def _answers(*preferred: int | None) -> list[Answer]:
    return [Answer(response_id, None) for response_id in preferred]


@pytest.mark.parametrize("preferred", [(), (TIE,), (A, B), (B, TIE, A), (TIE, TIE)])
def test_labels_that_prefer_neither_give_no_preference(preferred: tuple[int | None, ...]) -> None:
    assert majority(_answers(*preferred)) is None


@pytest.mark.parametrize(
    ("preferred", "expected"),
    [
        ((B,), Preference(B, labels=1, agreement=1.0, strength=None, confidence=1.0, evidence=1.0)),
        (
            (A, B, A),
            Preference(A, labels=3, agreement=2 / 3, strength=None, confidence=2 / 3, evidence=1.0),
        ),
        (
            (TIE, B, TIE),
            Preference(B, labels=3, agreement=1.0, strength=None, confidence=1.0, evidence=1.0),
        ),
    ],
)
def test_the_majority_of_the_votes_is_the_preference_and_ties_are_only_counted(
    preferred: tuple[int | None, ...], expected: Preference
) -> None:
    assert expected == majority(_answers(*preferred))


def test_strength_is_the_mean_of_those_that_agree_and_give_one() -> None:
    answers = [Answer(A, 3), Answer(B, 1), Answer(A, 2), Answer(A, None)]

    preference = majority(answers)

    assert preference is not None
    assert preference.strength == 2.5


def test_log_odds_decide_and_the_agreement_stays_that_of_the_votes() -> None:
    preference = weighted([Answer(A, 3), Answer(B, 1), Answer(A, None), Answer(TIE, None)], B, 2.0)

    assert preference == Preference(
        B,
        labels=4,
        agreement=1 / 3,
        strength=1.0,
        confidence=1 / (1 + math.exp(-2.0)),
        evidence=2.0,
    )


@pytest.mark.parametrize(("preferred", "log_odds"), [((A, A), 3.0), ((B,), 0.0), ((TIE,), 1.0)])
def test_odds_of_nothing_or_against_all_votes_give_no_preference(
    preferred: tuple[int | None, ...], log_odds: float
) -> None:
    assert weighted(_answers(*preferred), B, log_odds) is None
