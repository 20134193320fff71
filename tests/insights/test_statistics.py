"""Krippendorff's alpha against the package of that name, and Wilson's interval against SciPy."""

import krippendorff
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy.stats import binomtest  # type: ignore[import-untyped]  # ships no types

from app.insights.statistics import krippendorff_alpha, wilson_interval

PATTERNS = st.lists(
    st.tuples(st.lists(st.integers(0, 4), min_size=4, max_size=4), st.integers(1, 50)), max_size=12
)


@given(PATTERNS)
def test_alpha_is_what_the_package_computes_where_it_is_defined(
    patterns: list[tuple[list[int], int]],
) -> None:
    answers = np.array([counts for counts, _ in patterns], dtype=np.int64).reshape(-1, 4)
    pairs = np.array([times for _, times in patterns], dtype=np.int64)

    alpha = krippendorff_alpha(answers, pairs)

    comparable = answers[answers.sum(axis=1) >= 2]
    if (comparable.sum(axis=0) > 0).sum() < 2:
        assert alpha is None
    else:
        expected = krippendorff.alpha(
            value_counts=answers.repeat(pairs, axis=0), level_of_measurement="nominal"
        )
        assert alpha == pytest.approx(expected)


def test_annotators_who_always_agree_have_an_alpha_of_one() -> None:
    answers = np.array([[2, 0, 0, 0], [0, 3, 0, 0]])

    assert krippendorff_alpha(answers, np.array([5, 2])) == pytest.approx(1)


def test_pairs_with_one_answer_change_nothing() -> None:
    answers = np.array([[2, 1, 0, 0], [0, 2, 0, 0]])
    with_single = np.array([[2, 1, 0, 0], [0, 2, 0, 0], [1, 0, 0, 0]])

    alone = krippendorff_alpha(answers, np.array([3, 4]))

    assert alone is not None
    assert krippendorff_alpha(with_single, np.array([3, 4, 100])) == alone


@given(st.integers(1, 100_000).flatmap(lambda n: st.tuples(st.integers(0, n), st.just(n))))
def test_the_interval_is_wilsons(counts: tuple[int, int]) -> None:
    successes, trials = counts

    low, high = wilson_interval(successes, trials)

    expected = binomtest(successes, trials).proportion_ci(0.95, method="wilson")
    assert (low, high) == pytest.approx((expected.low, expected.high), abs=1e-9)
