"""Each strategy against a plain transcription of its definition, on a thousand random prompts."""

import itertools
from collections import Counter
from collections.abc import Callable, Iterator

import numpy as np
import pytest
from numpy.typing import NDArray

from app.selection.candidates import PromptCandidate, blocks_of
from app.selection.registry import STRATEGIES
from tests.selection.candidate_samples import random_prompts, rankings

Vectors = dict[int, NDArray[np.float64]]


def _vectors(prompt: PromptCandidate) -> Vectors:
    rows = zip(prompt.response_ids, prompt.embeddings.astype(np.float64), strict=True)
    return dict(sorted(rows))


def _cosine(one: NDArray[np.float64], other: NDArray[np.float64]) -> float:
    return float(one @ other / np.linalg.norm(one) / np.linalg.norm(other))


def _most_different(vectors: Vectors) -> tuple[int, int]:
    pairs = itertools.combinations(vectors, 2)
    return min(pairs, key=lambda pair: _cosine(vectors[pair[0]], vectors[pair[1]]))


def _most_alike(vectors: Vectors) -> tuple[int, int]:
    pairs = itertools.combinations(vectors, 2)
    return max(pairs, key=lambda pair: _cosine(vectors[pair[0]], vectors[pair[1]]))


def _bipartitions(ids: list[int]) -> Iterator[tuple[list[int], list[int]]]:
    for size in range(1, len(ids)):
        for part in itertools.combinations(ids, size):
            if ids[0] in part:
                yield list(part), [one for one in ids if one not in part]


def _nearest_to_centres(vectors: Vectors) -> tuple[int, int]:
    def centre(part: list[int]) -> NDArray[np.float64]:
        return np.asarray(np.mean([vectors[one] for one in part], axis=0))

    def spread(part: list[int]) -> float:
        return float(sum(np.sum((vectors[one] - centre(part)) ** 2) for one in part))

    def distance(one: int, part: list[int]) -> float:
        return float(np.sum((vectors[one] - centre(part)) ** 2))

    left, right = min(
        _bipartitions(list(vectors)), key=lambda parts: spread(parts[0]) + spread(parts[1])
    )
    pairs = itertools.permutations(vectors, 2)
    best = min(pairs, key=lambda pair: distance(pair[0], left) + distance(pair[1], right))
    low, high = sorted(best)
    return low, high


@pytest.mark.parametrize(
    ("name", "definition", "sizes"),
    [
        ("dissimilar", _most_different, (2, 3, 5, 9, 20)),
        ("similar", _most_alike, (2, 3, 5, 9, 20)),
        ("centroid", _nearest_to_centres, (2, 3, 4, 5)),
    ],
)
def test_the_first_pair_is_that_of_the_definition(
    name: str, definition: Callable[[Vectors], tuple[int, int]], sizes: tuple[int, ...]
) -> None:
    prompts = random_prompts(np.random.default_rng(7), 1000, sizes=sizes, dimensions=16)

    expected = {prompt.prompt_id: definition(_vectors(prompt)) for prompt in prompts}

    assert expected == {key: value[0] for key, value in rankings(name, prompts).items()}


def test_dissimilar_global_sorts_all_pairs_of_the_collection_by_cosine() -> None:
    prompts = random_prompts(np.random.default_rng(8), 1000, sizes=(2, 3), dimensions=16)
    blocks = blocks_of(prompts)
    orders = STRATEGIES["dissimilar-global"].order(blocks, None, np.random.default_rng(0))

    keys = np.sort(np.concatenate([order.pair_keys.ravel() for order in orders]))

    cosines = [
        _cosine(one, other)
        for prompt in prompts
        for one, other in itertools.combinations(_vectors(prompt).values(), 2)
    ]
    np.testing.assert_allclose(keys, np.sort(cosines), atol=1e-6)


def test_random_draws_every_pair_equally_often_and_anew_with_another_seed() -> None:
    prompts = random_prompts(np.random.default_rng(9), 6000, sizes=(4,), dimensions=2)
    sorted_ids = {prompt.prompt_id: sorted(prompt.response_ids) for prompt in prompts}

    def first_columns(seed: int) -> list[tuple[int, int]]:
        return [
            (sorted_ids[key].index(value[0][0]), sorted_ids[key].index(value[0][1]))
            for key, value in rankings("random", prompts, seed).items()
        ]

    one, other = first_columns(0), first_columns(1)
    counts = Counter(one)

    assert len(counts) == 6
    # Chi-squared with 5 degrees of freedom: 25 has a probability of 1.4e-4.
    assert sum((count - 1000) ** 2 / 1000 for count in counts.values()) < 25
    assert sum(a == b for a, b in zip(one, other, strict=True)) < 1300
