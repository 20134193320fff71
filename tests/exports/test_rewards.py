import numpy as np
import pytest
from numpy.typing import NDArray
from scipy.optimize import minimize  # type: ignore[import-untyped]  # ships no types

from app.exports.rewards import Comparisons, FoundRewards, Rewards, posterior_mode

Comparison = tuple[int, int, float, float]
"""First and second response, share of the first, weight."""
Floats = NDArray[np.float64]


def _comparisons(drawn: list[Comparison], prompt_ids: list[int]) -> Comparisons:
    """Of responses 0, 1, 2, … whose prompts are given."""
    size = len(prompt_ids)
    first, second = ([each[place] for each in drawn] for place in (0, 1))
    return Comparisons(
        prompt_ids=np.array(prompt_ids, dtype=np.int64),
        response_ids=np.arange(size, dtype=np.int64),
        responses=np.ones((size, 1), dtype=np.float32),
        prompts=np.ones((size, 1), dtype=np.float32),
        first=np.array(first, dtype=np.int64),
        second=np.array(second, dtype=np.int64),
        share=np.array([each[2] for each in drawn], dtype=np.float64),
        weight=np.array([each[3] for each in drawn], dtype=np.float64),
    )


def _mode(drawn: list[Comparison], expected: list[float]) -> Floats:
    return posterior_mode(_comparisons(drawn, [1] * len(expected)), np.array(expected))


def test_it_is_the_mode_of_the_written_out_posterior() -> None:
    generator = np.random.default_rng(0)
    drawn = [
        (
            int(pair[0]),
            int(pair[1]),
            float(generator.choice([0.0, 0.5, 1.0])),
            float(generator.integers(1, 4)),
        )
        for pair in (np.sort(generator.choice(8, 2, replace=False)) for _ in range(60))
    ]
    expected = generator.standard_normal(8)

    def loss(rewards: Floats) -> float:
        total = float((rewards - expected) @ (rewards - expected))
        for first, second, share, weight in drawn:
            gap = rewards[first] - rewards[second]
            total += weight * share * np.log1p(np.exp(-gap))
            total += weight * (1 - share) * np.log1p(np.exp(gap))
        return total

    found = minimize(loss, expected, tol=1e-10).x

    assert _mode(drawn, expected.tolist()) == pytest.approx(found, abs=1e-4)


def test_without_labels_it_is_what_the_model_expects() -> None:
    assert _mode([], [0.5, -1.0]).tolist() == [0.5, -1.0]


def test_a_label_moves_both_responses_and_a_stronger_one_moves_them_further() -> None:
    slight, strong = (_mode([(0, 1, 1.0, weight)], [0.1, 0.3]) for weight in (1.0, 3.0))

    assert slight[0] > 0.1
    assert slight[1] < 0.3
    assert strong[0] > slight[0]
    assert strong[1] < slight[1]


def test_one_label_a_pair_leaves_the_gaps_that_the_model_expects() -> None:
    wide = _mode([(0, 1, 1.0, 1.0)], [0.5, -0.5])
    narrow = _mode([(0, 1, 1.0, 1.0)], [0.1, -0.1])
    contradicted = _mode([(0, 1, 1.0, 1.0)], [-0.5, 0.5])

    assert wide[0] - wide[1] > narrow[0] - narrow[1] > contradicted[0] - contradicted[1]


def test_the_better_of_a_chain_have_the_higher_rewards() -> None:
    rewards = _mode([(0, 1, 1.0, 1.0), (1, 2, 1.0, 1.0), (2, 3, 1.0, 1.0)], [0.0] * 4)

    assert (np.diff(rewards) < 0).all()


def test_a_part_of_the_prompts_is_fitted_as_all_of_them_together_are() -> None:
    one, other = [(0, 1, 1.0, 2.0), (1, 2, 0.5, 1.0)], [(3, 4, 0.0, 1.0)]
    together = posterior_mode(_comparisons(one + other, [1, 1, 1, 2, 2]), np.zeros(5))

    assert together[:3] == pytest.approx(_mode(one, [0.0] * 3), abs=1e-7)
    assert together[3:] == pytest.approx(_mode([(0, 1, 0.0, 1.0)], [0.0] * 2), abs=1e-7)


def _found(*parts: tuple[list[int], list[float]]) -> Rewards:
    found = FoundRewards()
    for prompt_ids, values in parts:
        found.add(_comparisons([], prompt_ids), np.array(values))
    return found.standardised()


def test_rewards_are_standardised_over_all_parts_and_rounded() -> None:
    rewards = _found(([1, 1], [3.0, 1.0]), ([2, 2, 2], [0.5, 4.0, 1.23456]))

    assert len(rewards) == 5
    assert rewards.values.mean() == pytest.approx(0, abs=1e-4)
    assert rewards.values.std() == pytest.approx(1, abs=1e-4)
    assert rewards.values.tolist() == [round(value, 4) for value in rewards.values.tolist()]


def test_equal_rewards_are_all_the_mean() -> None:
    rewards = _found(([1, 1], [0.1, 0.1 + 1e-12]))

    assert [str(value) for value in rewards.values.tolist()] == ["0.0", "0.0"]


def test_no_rewards_are_no_rewards() -> None:
    assert len(_found()) == 0
    assert _found().prompts_by_best().tolist() == []


def test_a_prompts_rewards_are_those_of_its_responses() -> None:
    rewards = Rewards(
        prompt_ids=np.array([10, 10, 20, 30]),
        response_ids=np.array([1, 2, 9, 3]),
        values=np.array([0.5, 0.1, 0.2, -1.0]),
    )

    assert rewards.of(10) == {1: 0.5, 2: 0.1}
    assert rewards.of(20) == {9: 0.2}
    assert rewards.of(25) == rewards.of(31) == {}


def test_prompts_come_by_the_reward_of_their_best_response() -> None:
    rewards = Rewards(
        prompt_ids=np.array([10, 10, 20, 20, 30, 30, 30]),
        response_ids=np.array([1, 2, 3, 4, 5, 6, 7]),
        values=np.array([0.5, 0.1, 0.2, 0.3, 0.0, 0.3, -1.0]),
    )

    assert rewards.prompts_by_best().tolist() == [20, 30, 10]
