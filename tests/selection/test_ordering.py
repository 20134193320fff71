import itertools

import numpy as np

from app.selection.candidates import PromptCandidate, blocks_of
from app.selection.ordering import next_pairs, plan_positions, shortlist_places
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
        position = plan_positions(
            strategy, block, order, np.zeros((1, 1), np.int64), after_all_others=last
        )
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
        strategy, block, order, np.zeros((2, 1), np.int64), after_all_others=False
    ).ravel()

    assert first < second


def test_a_collection_wide_strategy_stands_by_the_pairs_own_keys() -> None:
    strategy = STRATEGIES["dissimilar-global"]
    [block] = blocks_of(
        [PromptCandidate(1, (1, 2, 3), np.array([[1.0, 0.0], [0.0, 1.0], [0.6, 0.8]]), round=5)]
    )
    [order] = strategy.order([block], None, np.random.default_rng(0))

    positions = plan_positions(
        strategy, block, order, np.array([[0, 1, 2]]), after_all_others=False
    )

    np.testing.assert_allclose(positions, [[0.5, 0.8, 0.9]])


def _shortlist(rounds: list[int], uniform: list[float], keys: list[float]) -> list[float]:
    """The places that prompts of a shortlist get."""
    [block] = blocks_of(
        [
            PromptCandidate(
                number, (2 * number, 2 * number + 1), np.eye(2), round=one, order_key=key
            )
            for number, (one, key) in enumerate(zip(rounds, uniform, strict=True))
        ]
    )
    order = PairOrder(np.zeros((len(keys), 1)), np.array(keys))
    [placed] = shortlist_places(STRATEGIES["uncertain"], [block], [order])
    return [float(key) for key in placed.prompt_keys]


def test_the_prompts_of_a_shortlist_share_out_the_places_they_have_in_the_uniform_order() -> None:
    placed = _shortlist([0, 0, 0, 0], [0.5, 0.1, 0.9, 0.3], [0.2, 0.4, 0.1, 0.3])

    assert placed == [0.3, 0.9, 0.1, 0.5]


def test_prompts_of_different_rounds_do_not_share_places() -> None:
    placed = _shortlist([0, 1, 0, 1], [0.5, 0.1, 0.9, 0.3], [0.2, 0.4, 0.1, 0.3])

    assert placed == [0.9, 0.3, 0.5, 0.1]


def test_a_uniform_order_of_prompts_stays_as_it_is() -> None:
    [block] = blocks_of([PromptCandidate(1, (1, 2), np.eye(2), order_key=0.7)])
    order = PairOrder(np.zeros((1, 1)), np.array([0.2]))

    assert shortlist_places(STRATEGIES["dissimilar"], [block], [order]) == [order]
