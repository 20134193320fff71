from collections import Counter

import numpy as np

from app.selection.draws import exploration_draw, exploration_pair, order_key, overlap_draw

SEED = 4_611_686_018_427_387_904
PROMPTS = range(1, 20_001)


def test_the_share_of_exploration_prompts_is_the_projects() -> None:
    drawn = sum(exploration_draw(prompt, SEED, 0.1) for prompt in PROMPTS)

    # Binomial: standard deviation 42.
    assert abs(drawn - 2000) < 170


def test_no_share_draws_nobody_and_a_full_share_draws_everybody() -> None:
    assert not any(exploration_draw(prompt, SEED, 0.0) for prompt in PROMPTS)
    assert all(exploration_draw(prompt, SEED, 1.0) for prompt in PROMPTS)


def test_draws_for_different_purposes_and_projects_are_independent() -> None:
    keys = np.array([order_key(prompt, SEED) for prompt in PROMPTS])
    others = np.array([order_key(prompt, SEED + 1) for prompt in PROMPTS])
    explored = np.array([exploration_draw(prompt, SEED, 0.5) for prompt in PROMPTS])

    assert abs(np.corrcoef(keys, others)[0, 1]) < 0.03
    assert abs(np.corrcoef(keys, explored)[0, 1]) < 0.03
    assert abs(keys.mean() - 0.5) < 0.01
    assert keys.min() >= 0
    assert keys.max() < 1


def test_the_exploration_pair_is_uniform_over_all_pairs_and_tells_its_propensity() -> None:
    drawn = [exploration_pair(prompt, SEED, (30, 10, 20, 40)) for prompt in PROMPTS]
    counts = Counter((pair.first_response_id, pair.second_response_id) for pair in drawn)

    assert {pair.propensity for pair in drawn} == {1 / 6}
    assert set(counts) == {(10, 20), (10, 30), (10, 40), (20, 30), (20, 40), (30, 40)}
    expected = len(PROMPTS) / 6
    assert sum((count - expected) ** 2 / expected for count in counts.values()) < 25


def test_the_exploration_pair_does_not_depend_on_the_order_of_responses() -> None:
    assert all(
        exploration_pair(prompt, SEED, (5, 3, 9)) == exploration_pair(prompt, SEED, (9, 5, 3))
        for prompt in range(100)
    )


def test_the_overlap_draw_is_uniform_over_pairs() -> None:
    draws = np.array([overlap_draw(one, one + 1, SEED) for one in PROMPTS])

    np.testing.assert_allclose(np.histogram(draws, bins=10, range=(0, 1))[0] / 2000, 1, atol=0.1)
