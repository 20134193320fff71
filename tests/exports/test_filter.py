import pytest
from hypothesis import given
from hypothesis import strategies as st

from app.exports.filter import Split, SplitRule

groups = st.integers(min_value=1, max_value=2**63 - 1)
seeds = st.integers(min_value=-(2**63), max_value=2**63 - 1)
fractions = st.floats(min_value=0, max_value=1)


@given(groups, seeds, fractions)
def test_a_group_stands_in_exactly_one_of_train_and_test(
    group: int, seed: int, fraction: float
) -> None:
    rule = SplitRule(test_fraction=fraction, seed=seed)

    assert rule.takes(Split.ALL, group)
    assert rule.takes(Split.TRAIN, group) is not rule.takes(Split.TEST, group)


@given(groups, seeds, fractions, fractions)
def test_a_larger_fraction_only_moves_groups_from_train_to_test(
    group: int, seed: int, one: float, other: float
) -> None:
    small, large = (SplitRule(test_fraction=share, seed=seed) for share in sorted((one, other)))

    assert not small.is_test(group) or large.is_test(group)


def test_the_draw_is_the_same_in_every_version() -> None:
    rule = SplitRule(test_fraction=0.3, seed=7)

    assert [group for group in range(1, 13) if rule.is_test(group)] == [2, 4, 5, 10, 11]


@pytest.mark.parametrize("fraction", [0.0, 0.1, 0.5, 1.0])
def test_the_test_has_about_its_fraction_of_the_groups(fraction: float) -> None:
    rule = SplitRule(test_fraction=fraction, seed=0)
    share = sum(rule.is_test(group) for group in range(10_000)) / 10_000

    assert share == pytest.approx(fraction, abs=0.015)


def test_another_seed_draws_other_groups() -> None:
    one, other = (SplitRule(test_fraction=0.5, seed=seed) for seed in (0, 1))

    assert any(one.is_test(group) != other.is_test(group) for group in range(100))
