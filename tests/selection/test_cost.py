from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from app.selection.candidates import PromptBlock, blocks_of
from app.selection.cost import (
    Pricing,
    by_cosine,
    by_place,
    by_score,
    keys_per_second,
)
from app.selection.ordering import orders_per_cost
from app.selection.registry import STRATEGIES
from app.selection.strategy import PairOrder, Strategy
from tests.selection.candidate_samples import random_prompts, rank_pairs
from tests.selection.models import fitted_model

SEEDS = st.integers(0, 2**32 - 1)


def test_a_pair_costs_its_base_and_the_time_to_read_both_responses() -> None:
    pricing = Pricing(8, 238)

    assert pricing.expected_seconds(0) == 8
    assert pricing.expected_seconds(476) == 128


def test_the_cost_of_all_pairs_is_that_of_each() -> None:
    words = np.array([[3, 100, 40]])
    pricing = Pricing(8, 238)

    found = pricing.of_pairs(words)

    wanted = [pricing.expected_seconds(both) for both in (103, 43, 140)]
    np.testing.assert_allclose(found, [wanted])


def test_values_are_distances_scores_or_the_places_alone() -> None:
    keys = np.array([[-0.5, 1.0, 0.25]])

    assert by_cosine(keys).tolist() == [[1.5, 0.0, 0.75]]
    assert by_score(keys).tolist() == [[0.5, 0.0, 0.0]]
    assert by_place(keys).tolist() == [[1.0, 1 / 3, 1 / 2]]


@given(
    value=st.floats(1e-3, 1e3),
    seconds=st.floats(0.1, 1e4),
    longer=st.floats(1.1, 10),
    share=st.sampled_from([0.99, 1.01]),
)
def test_a_pair_that_takes_longer_must_be_worth_as_much_more(
    value: float, seconds: float, longer: float, share: float
) -> None:
    short, long = keys_per_second(
        np.array([value, value * longer * share]), np.array([seconds, seconds * longer])
    )

    assert (long < short) == (share > 1)
    assert -1 < short <= 1


def _blocks(seed: int) -> list[PromptBlock]:
    rng = np.random.default_rng(seed)
    return blocks_of(random_prompts(rng, 12, sizes=(2, 3, 4, 7)))


def _orders(strategy: Strategy, blocks: list[PromptBlock]) -> list[PairOrder]:
    return strategy.order(blocks, fitted_model(blocks), np.random.default_rng(0))


@pytest.mark.parametrize("name", STRATEGIES)
@given(seed=SEEDS, seconds=st.floats(0.5, 500))
@settings(max_examples=10, deadline=None)
def test_equal_costs_leave_every_order_as_it_is(name: str, seed: int, seconds: float) -> None:
    strategy = STRATEGIES[name]
    blocks = [
        replace(block, expected_seconds=np.full(block.taken.shape, seconds))
        for block in _blocks(seed)
    ]
    orders = _orders(strategy, blocks)

    priced = orders_per_cost(strategy, blocks, orders)

    for order, new in zip(orders, priced, strict=True):
        assert np.array_equal(rank_pairs(order), rank_pairs(new))
    assert _sequence(orders) == _sequence(priced)


def _sequence(orders: list[PairOrder]) -> list[int]:
    keys = np.concatenate([order.prompt_keys for order in orders])
    return [int(place) for place in np.argsort(keys, kind="stable")]


@pytest.mark.parametrize("name", STRATEGIES)
def test_without_costs_every_order_is_as_it_was(name: str) -> None:
    blocks = _blocks(1)
    orders = _orders(STRATEGIES[name], blocks)

    for order, new in zip(orders, orders_per_cost(STRATEGIES[name], blocks, orders), strict=True):
        np.testing.assert_array_equal(rank_pairs(order), rank_pairs(new))
        np.testing.assert_array_equal(order.prompt_keys, new.prompt_keys)


def _priced(name: str, keys: list[list[float]], seconds: list[list[float]]) -> PairOrder:
    """The order of prompts with three pairs each, of those keys, and prompt keys as they come."""
    [block] = blocks_of(random_prompts(np.random.default_rng(0), len(keys), sizes=(3,)))
    block = replace(block, expected_seconds=np.array(seconds))
    order = PairOrder(np.array(keys), np.arange(len(keys)) / len(keys))
    [priced] = orders_per_cost(STRATEGIES[name], [block], [order])
    return priced


def test_a_pair_twice_as_long_needs_twice_the_distance() -> None:
    keys = [[0.5, 0.05, 0.75]]  # distances .5, .95, .25

    assert rank_pairs(_priced("dissimilar", keys, [[10, 20, 10]])).tolist() == [[0, 1, 2]]
    assert rank_pairs(_priced("dissimilar", keys, [[10, 18, 10]])).tolist() == [[1, 0, 2]]


def test_a_pair_twice_as_long_needs_twice_the_score() -> None:
    keys = [[-1.0, -1.9, -0.1]]

    assert rank_pairs(_priced("gap", keys, [[10, 20, 10]])).tolist() == [[0, 1, 2]]
    assert rank_pairs(_priced("gap", keys, [[10, 18, 10]])).tolist() == [[1, 0, 2]]


def test_where_only_an_order_is_known_the_second_pair_is_worth_half_the_first() -> None:
    keys = [[0.1, 0.2, 0.3]]

    assert rank_pairs(_priced("centroid", keys, [[19, 10, 10]])).tolist() == [[0, 1, 2]]
    assert rank_pairs(_priced("centroid", keys, [[21, 10, 10]])).tolist() == [[1, 0, 2]]


def test_a_draw_says_nothing_of_value_so_costs_do_not_change_it() -> None:
    priced = _priced("random", [[0.1, 0.2, 0.3]], [[500, 10, 10]])

    assert rank_pairs(priced).tolist() == [[0, 1, 2]]


def test_prompts_that_are_ranked_are_ranked_by_what_their_best_pairs_cost_too() -> None:
    keys = [[-3.0, -2.0, -1.0]] * 3
    seconds = [[30.0, 100, 100], [14.0, 100, 100], [30.0, 100, 100]]

    ranked = _priced("uncertain", keys, seconds)
    uniform = _priced("dissimilar", [[-0.3, -0.2, -0.1]] * 3, seconds)

    assert np.argsort(ranked.prompt_keys).tolist() == [1, 0, 2]
    assert np.argsort(uniform.prompt_keys).tolist() == [0, 1, 2]
