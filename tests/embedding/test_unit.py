import base64
import math
import struct

import numpy as np
import pytest
from hypothesis import assume, given
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays

from app.embedding.unit import (
    InvalidVector,
    decode_base64_float32,
    from_bytes,
    mean_direction,
    normalise,
    to_bytes,
)

_any_vectors = st.integers(1, 40).flatmap(
    lambda dimensions: arrays(
        np.float64, dimensions, elements=st.floats(-1e300, 1e300, allow_subnormal=True)
    )
)
_unit_vectors = _any_vectors.filter(lambda vector: vector.any()).map(normalise)


@given(_any_vectors)
def test_any_finite_vector_but_zero_becomes_a_unit_vector(vector: np.ndarray) -> None:
    assume(vector.any())
    unit = normalise(vector)
    assert unit.dtype == np.float32
    assert math.isclose(np.linalg.norm(unit.astype(np.float64)), 1.0, abs_tol=1e-6)
    assert np.array_equal(
        np.sign(unit)[np.abs(unit) > 1e-30], np.sign(vector)[np.abs(unit) > 1e-30]
    )


@pytest.mark.parametrize("scale", [1e-300, 1e-38, 1.0, 1e30, 1e300])
def test_the_scale_of_a_vector_does_not_matter(scale: float) -> None:
    assert normalise(np.array([[3.0, -4.0], [0.0, 2.0]]) * scale) == pytest.approx(
        np.array([[0.6, -0.8], [0.0, 1.0]])
    )


@pytest.mark.parametrize(
    "bad",
    [
        [0.0, 0.0],
        [1.0, math.nan],
        [1.0, math.inf],
        [],
        [[1.0, 2.0], [0.0, 0.0]],
        [[1.0], [1.0, 2.0]],
        3.0,
        [10**400, 1],
        ["one", "two"],
    ],
)
def test_a_vector_without_a_direction_is_refused(bad: object) -> None:
    with pytest.raises(InvalidVector):
        normalise(bad)  # type: ignore[arg-type]  # what callers may send


@given(_unit_vectors)
def test_stored_components_keep_the_accuracy_the_docstring_promises(vector: np.ndarray) -> None:
    stored = np.frombuffer(to_bytes(vector), dtype="<f2").astype(np.float64)
    exact = vector.astype(np.float64)
    assert (np.abs(stored - exact) <= np.maximum(np.abs(exact) * 2.0**-11, 2.0**-25)).all()
    assert np.linalg.norm(stored - exact) < 2.0**-11 + 2.0**-25 * math.sqrt(len(exact))


@given(_unit_vectors)
def test_a_vector_and_its_stored_form_point_the_same_way(vector: np.ndarray) -> None:
    read = from_bytes([to_bytes(vector)], len(vector))[0].astype(np.float64)
    exact = vector / np.linalg.norm(vector.astype(np.float64))
    assert read @ exact >= 1 - 1.3e-7 - 1e-7  # the last term: float32 arithmetic


@given(st.integers(1, 40), st.integers(0, 2**32))
def test_a_similarity_moves_by_less_than_a_thousandth_in_storage(
    dimensions: int, seed: int
) -> None:
    first, second = normalise(np.random.default_rng(seed).normal(size=(2, dimensions)))
    stored = from_bytes([to_bytes(first), to_bytes(second)], dimensions)
    assert abs(stored[0] @ stored[1] - first @ second) < 1e-3


def test_bytes_are_little_endian_float16() -> None:
    assert to_bytes(np.array([1.0, -0.5], dtype=np.float32)) == struct.pack("<ee", 1.0, -0.5)


def test_reading_no_rows_gives_an_empty_array_of_the_right_width() -> None:
    assert from_bytes([], 7).shape == (0, 7)


@pytest.mark.parametrize("rows", [[b"\x00\x3c"], [b"\x00\x3c" * 3], [b"\x00\x3c" * 2, b"\x00"]])
def test_stored_rows_of_another_length_are_refused(rows: list[bytes]) -> None:
    with pytest.raises(InvalidVector):
        from_bytes(rows, 2)


@given(st.lists(st.floats(width=32, allow_nan=False), min_size=1, max_size=20))
def test_base64_of_float32_gives_back_the_numbers_sent(numbers: list[float]) -> None:
    text = base64.b64encode(struct.pack(f"<{len(numbers)}f", *numbers)).decode()
    assert decode_base64_float32(text).tolist() == numbers


@pytest.mark.parametrize(
    "text", ["", "AAA=", "AACAPw", "AACAPw==!", "AACA\nPw==", "ÄÖÜß", "AACAPwA="]
)
def test_broken_base64_and_cut_numbers_are_refused(text: str) -> None:
    with pytest.raises(InvalidVector):
        decode_base64_float32(text)


def test_the_mean_direction_lies_between_the_vectors() -> None:
    assert mean_direction(np.eye(2, dtype=np.float32)) == pytest.approx([0.5**0.5, 0.5**0.5])


def test_vectors_that_cancel_out_are_stood_for_by_the_first() -> None:
    first = normalise([0.3, -0.2, 0.9])
    assert mean_direction(np.stack([first, -first])) == pytest.approx(first)
