import pytest

from app.exports.aggregate import Answer, Preference, aggregate

A, B, TIE = 1, 2, None


def _answers(*preferred: int | None) -> list[Answer]:
    return [Answer(response_id, None) for response_id in preferred]


@pytest.mark.parametrize("preferred", [(), (TIE,), (A, B), (B, TIE, A), (TIE, TIE)])
def test_labels_that_prefer_neither_give_no_preference(preferred: tuple[int | None, ...]) -> None:
    assert aggregate(_answers(*preferred)) is None


@pytest.mark.parametrize(
    ("preferred", "expected"),
    [
        ((B,), Preference(B, labels=1, agreement=1.0, strength=None)),
        ((A, B, A), Preference(A, labels=3, agreement=2 / 3, strength=None)),
        ((TIE, B, TIE), Preference(B, labels=3, agreement=1.0, strength=None)),
    ],
)
def test_the_majority_of_the_votes_is_the_preference_and_ties_are_only_counted(
    preferred: tuple[int | None, ...], expected: Preference
) -> None:
    assert expected == aggregate(_answers(*preferred))


def test_strength_is_the_mean_of_those_that_agree_and_give_one() -> None:
    answers = [Answer(A, 3), Answer(B, 1), Answer(A, 2), Answer(A, None)]

    preference = aggregate(answers)

    assert preference is not None
    assert preference.strength == 2.5
