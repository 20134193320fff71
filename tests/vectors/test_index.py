import numpy as np
import pytest
from numpy.typing import NDArray

from app.vectors import index as index_module
from app.vectors.index import VectorIndex

Floats = NDArray[np.float32]


def unit(rng: np.random.Generator, count: int, dimensions: int = 32) -> Floats:
    vectors = rng.standard_normal((count, dimensions)).astype(np.float32)
    return np.asarray(vectors / np.linalg.norm(vectors, axis=1, keepdims=True))


@pytest.fixture
def rng() -> np.random.Generator:
    return np.random.default_rng(0)


def test_a_small_index_answers_as_an_exact_search_does(rng: np.random.Generator) -> None:
    vectors, queries = unit(rng, 3000), unit(rng, 50)
    ids = rng.permutation(100_000)[:3000].astype(np.int64)
    index = VectorIndex(32)
    index.add(ids, vectors)

    similarities, found = index.search(queries, 10)

    exact = queries @ vectors.T
    order = np.argsort(-exact, axis=1)[:, :10]
    np.testing.assert_array_equal(ids[order], found)
    np.testing.assert_allclose(np.take_along_axis(exact, order, axis=1), similarities, atol=1e-6)


def test_adding_an_id_again_changes_nothing(rng: np.random.Generator) -> None:
    vectors = unit(rng, 3)
    index = VectorIndex(32)
    index.add(np.array([7, 8]), vectors[:2])
    index.add(np.array([8, 8, 9, 9]), vectors[[2, 2, 2, 0]])

    _, found = index.search(vectors[[1, 2]], 1)

    assert len(index) == 3
    assert index.ids().tolist() == [7, 8, 9]
    assert found.tolist() == [[8], [9]]


def test_removed_ids_are_found_no_more_and_unknown_ones_do_no_harm(
    rng: np.random.Generator,
) -> None:
    vectors = unit(rng, 5)
    index = VectorIndex(32)
    index.add(np.arange(5), vectors)

    index.remove(np.array([1, 3, 99]))
    _, found = index.search(vectors, 5)

    assert index.ids().tolist() == [0, 2, 4]
    assert set(found.ravel().tolist()) == {-1, 0, 2, 4}


def test_what_is_missing_has_the_id_minus_one(rng: np.random.Generator) -> None:
    vectors = unit(rng, 2)
    index = VectorIndex(32)

    assert index.search(vectors, 2)[1].tolist() == [[-1, -1], [-1, -1]]

    index.add(np.array([5]), vectors[:1])
    similarities, found = index.search(vectors[:1], 3)

    assert found.tolist() == [[5, -1, -1]]
    assert similarities[0, 1:].tolist() == [-np.inf, -np.inf]
    assert index.search(vectors[:0], 3)[1].shape == (0, 3)


@pytest.mark.slow
def test_above_the_limit_near_duplicates_are_still_found_and_removal_still_works(
    rng: np.random.Generator, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(index_module, "FLAT_LIMIT", 2000)
    vectors = unit(rng, 12_000)
    index = VectorIndex(32)
    for start in range(0, 12_000, 1000):
        index.add(np.arange(start, start + 1000), vectors[start : start + 1000])
    noise = unit(rng, 12_000)
    near = vectors + 0.3 * noise
    near /= np.linalg.norm(near, axis=1, keepdims=True)

    _, found = index.search(near[:1000], 1)
    index.remove(np.arange(0, 12_000, 2))
    _, left = index.search(near[:1000], 1)

    assert len(index) == 6000
    assert (found[:, 0] == np.arange(1000)).mean() > 0.995
    assert (left[1::2, 0] == np.arange(1, 1000, 2)).mean() > 0.995
    assert not np.isin(left, np.arange(0, 12_000, 2)).any()
