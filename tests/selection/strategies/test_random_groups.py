import itertools
from collections import Counter
from dataclasses import replace

import numpy as np
import pytest

from app.selection.candidates import PromptBlock, PromptCandidate, blocks_of
from app.selection.pair_grid import pair_columns, pair_similarities
from app.selection.strategies.random_groups import (
    AHEAD,
    first_choices,
    group_keys,
    narrowness,
)
from tests.selection.candidate_samples import random_prompts, unit


def _block(count: int, responses: int, seed: int = 0) -> PromptBlock:
    rng = np.random.default_rng(seed)
    [block] = blocks_of(random_prompts(rng, count, sizes=(responses,), dimensions=16))
    return block


def _first_pairs(block: PromptBlock, size: int, count: int) -> list[list[tuple[int, int]]]:
    first, second = pair_columns(block.responses)
    ranked = group_keys(block, size).argsort(axis=1, kind="stable")[:, :count]
    return [[(int(first[at]), int(second[at])) for at in row] for row in ranked]


def test_the_first_pairs_of_a_prompt_hold_more_responses_than_the_most_different_ones() -> None:
    block = _block(200, 8)
    first, second = pair_columns(8)
    lowest = pair_similarities(block.embeddings).argsort(axis=1)[:, :4]
    most_different = [{*first[row].tolist(), *second[row].tolist()} for row in lowest]

    found = [set(itertools.chain.from_iterable(pairs)) for pairs in _first_pairs(block, 8, 4)]

    assert np.mean([len(each) for each in found]) > 0.5 + np.mean(
        [len(each) for each in most_different]
    )


def test_one_group_begins_with_the_most_different_pair() -> None:
    block = _block(500, 4)

    found = group_keys(block, 4).argmin(axis=1)

    np.testing.assert_array_equal(found, pair_similarities(block.embeddings).argmin(axis=1))


@pytest.mark.parametrize(("responses", "size"), [(8, 4), (9, 3), (33, 4), (20, 2)])
def test_the_groups_of_a_sweep_share_no_response(responses: int, size: int) -> None:
    block = _block(50, responses)

    for pairs in _first_pairs(block, size, round(responses / size)):
        members = list(itertools.chain.from_iterable(pairs))
        assert len(set(members)) == len(members)


def test_larger_groups_give_more_different_pairs() -> None:
    block = _block(400, 16)
    cosines = pair_similarities(block.embeddings)
    rows = np.arange(400)

    means = [cosines[rows, group_keys(block, size).argmin(axis=1)].mean() for size in (2, 4, 8, 16)]

    assert means == sorted(means, reverse=True)
    assert means[0] == pytest.approx(cosines.mean(), abs=0.03)


def test_groups_of_two_are_drawn_uniformly() -> None:
    block = _block(3000, 5)

    counts = Counter(group_keys(block, 2).argmin(axis=1).tolist())

    assert len(counts) == 10
    assert max(abs(count - 300) for count in counts.values()) < 5 * np.sqrt(300)


def test_a_response_that_stands_apart_waits_unless_its_group_has_no_other_pair() -> None:
    rng = np.random.default_rng(1)
    vectors = 0.3 * rng.standard_normal((8, 16)) + np.eye(16)[0]
    vectors[3] = -np.eye(16)[0]
    [block] = blocks_of([PromptCandidate(1, range(8), unit(vectors))])

    def count(size: int) -> int:
        return sum(3 in pair for pair in _first_pairs(block, size, 6)[0])

    lowest = pair_similarities(block.embeddings)[0].argsort()[:6]
    first, second = pair_columns(8)
    assert all(3 in (first[at], second[at]) for at in lowest)
    assert count(8) == 0
    assert count(4) == 0
    assert count(2) > 0


def test_the_next_pairs_are_the_same_whatever_is_taken_of_other_prompts() -> None:
    block = _block(6, 9)
    ranked = group_keys(block, 4).argsort(axis=1)
    taken = block.taken.copy()
    taken[0, ranked[0, :20]] = True

    later = group_keys(replace(block, taken=taken), 4).argsort(axis=1)

    np.testing.assert_array_equal(ranked[1:, :AHEAD], later[1:, :AHEAD])


def test_first_choices_are_the_first_sweep() -> None:
    block = _block(40, 12)

    found = first_choices(block, narrowness(block), 4)

    ranked = group_keys(block, 4).argsort(axis=1)[:, :3]
    np.testing.assert_array_equal(found, ranked)
