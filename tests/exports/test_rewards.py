import numpy as np
import pytest
from scipy.optimize import minimize  # type: ignore[import-untyped]  # ships no types

from app.exports.rewards import Rewards, fit_rewards
from app.exports.votes import Votes

Comparison = tuple[int, int, int, float]
"""First and second response, side, weight."""


def _votes(drawn: list[Comparison], prompt: dict[int, int] | None = None) -> Votes:
    first, second, side = (
        np.array([each[place] for each in drawn], dtype=np.int64) for place in range(3)
    )
    prompts = np.array([(prompt or {}).get(each[0], 1) for each in drawn], dtype=np.int64)
    return Votes(
        prompt_ids=prompts,
        pair_ids=np.arange(len(drawn)),
        first_ids=first,
        second_ids=second,
        side=side,
        weight=np.array([each[3] for each in drawn], dtype=np.float64),
        annotator=np.zeros(len(drawn), dtype=np.int64),
    )


def test_it_is_the_mode_of_the_written_out_posterior_standardised() -> None:
    generator = np.random.default_rng(0)
    drawn = [
        (
            int(pair[0]),
            int(pair[1]),
            int(generator.integers(-1, 2)),
            float(generator.integers(1, 4)),
        )
        for pair in (np.sort(generator.choice(8, 2, replace=False)) for _ in range(60))
    ]

    def loss(rewards: "np.ndarray[tuple[int], np.dtype[np.float64]]") -> float:
        total = float(rewards @ rewards) / 2
        for first, second, side, weight in drawn:
            gap = rewards[first] - rewards[second]
            total += weight * (1 + side) / 2 * np.log1p(np.exp(-gap))
            total += weight * (1 - side) / 2 * np.log1p(np.exp(gap))
        return total

    expected = minimize(loss, np.zeros(8), tol=1e-10).x
    rewards = fit_rewards(_votes(drawn))

    assert rewards.response_ids.tolist() == list(range(8))
    standardised = (expected - expected.mean()) / expected.std()
    assert rewards.values == pytest.approx(standardised, abs=1e-4)


def test_the_better_of_a_chain_have_the_higher_rewards() -> None:
    rewards = fit_rewards(_votes([(1, 2, 1, 1.0), (2, 3, 1, 1.0), (3, 4, 1, 1.0)]))

    assert (np.diff(rewards.values) < 0).all()
    assert rewards.values.mean() == pytest.approx(0, abs=1e-6)
    assert rewards.values.std() == pytest.approx(1, abs=1e-6)


def test_ties_alone_say_nothing() -> None:
    assert fit_rewards(_votes([(1, 2, 0, 1.0), (2, 3, 0, 1.0)])).values.tolist() == [0.0] * 3


def test_a_stronger_label_weighs_more() -> None:
    rewards = fit_rewards(_votes([(1, 2, 1, 3.0), (3, 4, 1, 1.0)], {1: 1, 3: 2}))

    assert rewards.of(1) > rewards.of(3) > 0 > rewards.of(4) > rewards.of(2)


def test_what_has_no_label_has_the_mean() -> None:
    rewards = fit_rewards(_votes([(1, 2, 1, 1.0)]))

    assert rewards.has(1)
    assert not rewards.has(9)
    assert rewards.of(9) == 0.0
    assert len(fit_rewards(_votes([]))) == 0


def test_prompts_come_by_the_reward_of_their_best_response() -> None:
    rewards = Rewards(
        response_ids=np.array([1, 2, 3, 4, 5, 6, 7]),
        prompt_ids=np.array([10, 10, 20, 20, 30, 30, 30]),
        values=np.array([0.5, 0.1, 0.2, 0.3, 0.0, 0.3, -1.0]),
    )

    assert rewards.prompts_by_best().tolist() == [20, 30, 10]
