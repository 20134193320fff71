import itertools

import numpy as np

from app.selection.candidates import PromptCandidate, blocks_of
from app.selection.ordering import next_pairs, plan_positions
from app.selection.registry import STRATEGIES
from app.selection.strategy import PairOrder


def test_taken_pairs_are_never_chosen_again_and_what_is_missing_is_minus_one() -> None:
    order = PairOrder(np.array([[0.3, 0.1, 0.2]]), np.zeros(1))
    taken = np.array([[False, True, False]])

    assert next_pairs(order, taken, 1).tolist() == [[2]]
    assert next_pairs(order, taken, 4).tolist() == [[2, 0, -1, -1]]
    assert next_pairs(order, np.ones((1, 3), dtype=np.bool_), 1).tolist() == [[-1]]


def test_the_plan_goes_round_by_round_then_near_duplicates_last_then_by_the_prompts_keys() -> None:
    strategy = STRATEGIES["dissimilar"]
    wanted = []
    for last, round_number, near, key in itertools.product(
        (False, True), (0, 1, 2015), (False, True), (0.0, 0.5, 0.999999)
    ):
        [block] = blocks_of(
            [
                PromptCandidate(
                    1, (1, 2), np.eye(2), round=round_number, near_duplicate=near, order_key=key
                )
            ]
        )
        [order] = strategy.order([block], None, np.random.default_rng(0))
        position = plan_positions(strategy, block, order, np.zeros((1, 1), np.int64), last=last)
        wanted.append(float(position[0, 0]))

    assert wanted == sorted(set(wanted))


def test_random_does_not_set_near_duplicates_aside() -> None:
    strategy = STRATEGIES["random"]
    [block] = blocks_of(
        [
            PromptCandidate(1, (1, 2), np.eye(2), near_duplicate=True, order_key=0.2),
            PromptCandidate(2, (3, 4), np.eye(2), near_duplicate=False, order_key=0.7),
        ]
    )
    [order] = strategy.order([block], None, np.random.default_rng(0))

    first, second = plan_positions(
        strategy, block, order, np.zeros((2, 1), np.int64), last=False
    ).ravel()

    assert first < second


def test_a_collection_wide_strategy_stands_by_the_pairs_own_keys() -> None:
    strategy = STRATEGIES["dissimilar-global"]
    [block] = blocks_of(
        [PromptCandidate(1, (1, 2, 3), np.array([[1.0, 0.0], [0.0, 1.0], [0.6, 0.8]]), round=5)]
    )
    [order] = strategy.order([block], None, np.random.default_rng(0))

    positions = plan_positions(strategy, block, order, np.array([[0, 1, 2]]), last=False)

    np.testing.assert_allclose(positions, [[0.5, 0.8, 0.9]])
