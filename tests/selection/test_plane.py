"""Vectors on the plane on which they differ most."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from app.selection.plane import principal_plane


def test_it_finds_the_two_directions_of_most_spread() -> None:
    rng = np.random.default_rng(5)
    spread = np.array([5.0, 2.0, 0.1, 0.1])
    turned, _ = np.linalg.qr(rng.normal(size=(4, 4)))
    hidden = rng.normal(size=(500, 4)) * spread
    plane = principal_plane(hidden @ turned + 7)
    for column in (0, 1):
        correlation = np.corrcoef(plane.coordinates[:, column], hidden[:, column])[0, 1]
        assert abs(correlation) > 0.99
    assert plane.share == pytest.approx(29 / 29.02, abs=0.01)
    assert np.abs(plane.coordinates.mean(axis=0)).max() < 1e-9


def test_the_same_vectors_give_the_same_picture_in_any_order() -> None:
    vectors = np.random.default_rng(1).normal(size=(40, 16)).astype(np.float32)
    plane = principal_plane(vectors)
    turned = principal_plane(vectors[::-1])
    assert np.allclose(plane.coordinates, turned.coordinates[::-1])


@pytest.mark.parametrize(
    "vectors",
    [np.zeros((0, 3)), np.ones((1, 3)), np.ones((4, 3)), np.zeros((3, 1))],
    ids=["none", "one", "all the same", "a single dimension"],
)
def test_vectors_that_do_not_differ_have_no_spread(vectors: np.ndarray) -> None:
    plane = principal_plane(vectors)
    assert plane.share is None
    assert plane.coordinates.shape == (len(vectors), 2)
    assert not plane.coordinates.any()


def test_one_dimension_is_a_line() -> None:
    plane = principal_plane(np.array([[1.0], [3.0]]))
    assert plane.coordinates.tolist() == [[-1.0, 0.0], [1.0, 0.0]]
    assert plane.share == 1.0


@given(st.integers(0, 2**32 - 1), st.integers(2, 12), st.integers(1, 6))
def test_distances_on_the_plane_are_never_longer(seed: int, count: int, dimensions: int) -> None:
    vectors = np.random.default_rng(seed).normal(size=(count, dimensions))
    plane = principal_plane(vectors)
    true = np.linalg.norm(vectors[:, None] - vectors[None], axis=-1)
    drawn = np.linalg.norm(plane.coordinates[:, None] - plane.coordinates[None], axis=-1)
    assert (drawn <= true + 1e-9).all()
    assert plane.share is not None
    assert 0 < plane.share <= 1
