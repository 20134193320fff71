"""Unit vectors: normalise them, store them as float16 bytes, and read them back. Without torch."""

import base64
import binascii
from collections.abc import Sequence

import numpy as np
from numpy.typing import ArrayLike, NDArray

_STORED = np.dtype("<f2")
_SENT = np.dtype("<f4")
_CANCELLED = 1e-6


class InvalidVector(ValueError):
    """A vector without a direction (zero, not finite, empty), or bytes that are not a vector."""


def normalise(vectors: ArrayLike) -> NDArray[np.float32]:
    """Unit vectors of the same directions: one, ``(dimensions,)``, or many, ``(n, dimensions)``.

    Huge and tiny numbers are safe: each row is scaled by its largest component before its length
    is taken.

    Raises:
        InvalidVector: a row is zero, empty or not finite, or the rows have different lengths.
    """
    try:
        rows = np.asarray(vectors, dtype=np.float64)
    except (TypeError, ValueError, OverflowError) as error:
        raise InvalidVector("not a list of numbers") from error
    if rows.ndim == 0 or rows.shape[-1] == 0:
        raise InvalidVector("the vector is empty")
    largest = np.abs(rows).max(axis=-1, keepdims=True)
    if not np.isfinite(largest).all():
        raise InvalidVector("the vector has components that are not finite")
    if not largest.all():
        raise InvalidVector("the vector is zero")
    scaled = rows / largest
    lengths = np.linalg.norm(scaled, axis=-1, keepdims=True)
    return np.asarray(scaled / lengths, dtype=np.float32)


def to_bytes(vector: NDArray[np.float32]) -> bytes:
    """One unit vector, ``(dimensions,)``, as little-endian float16.

    A component of 2⁻¹⁴ (6.1e-5) or more keeps its value to a relative 2⁻¹¹ (4.9e-4), a smaller one
    to an absolute 2⁻²⁵ (3.0e-8). So the stored vector is off by less than 2⁻¹¹ + 2⁻²⁵·√dimensions
    in length (under 5e-4 up to 8192 dimensions), the cosine of a vector and its stored form is at
    least 1 - 1.3e-7, and the cosine of two vectors moves by less than 1e-3.
    """
    return vector.astype(_STORED).tobytes()


def from_bytes(rows: Sequence[bytes], dimensions: int) -> NDArray[np.float32]:
    """Vectors that ``to_bytes`` stored, normalised again: ``(n, dimensions)``.

    Raises:
        InvalidVector: a row is not ``dimensions`` numbers long.
    """
    if any(len(row) != dimensions * _STORED.itemsize for row in rows):
        raise InvalidVector(f"a stored vector has not {dimensions} dimensions")
    if not rows:
        return np.empty((0, dimensions), dtype=np.float32)
    return normalise(np.frombuffer(b"".join(rows), dtype=_STORED).reshape(len(rows), dimensions))


def decode_base64_float32(text: str) -> NDArray[np.float32]:
    """Little-endian float32 numbers in base64, ``(dimensions,)``, as embedding APIs send them.

    The numbers are not checked: ``normalise`` refuses NaN.

    Raises:
        InvalidVector: broken base64, no numbers at all, or a number cut in two.
    """
    try:
        raw = base64.b64decode(text, validate=True)
    except (binascii.Error, ValueError) as error:
        raise InvalidVector("not base64") from error
    if not raw or len(raw) % _SENT.itemsize:
        raise InvalidVector("not a whole number of little-endian float32 numbers")
    return np.frombuffer(raw, dtype=_SENT).astype(np.float32, copy=False)


def mean_direction(vectors: NDArray[np.float32]) -> NDArray[np.float32]:
    """The unit vector ``(dimensions,)`` along the mean of unit vectors ``(n, dimensions)``, n > 0.

    If they cancel out (as two opposite vectors do), it is the first vector.
    """
    mean = vectors.mean(axis=0, dtype=np.float64)
    return normalise(vectors[0] if np.linalg.norm(mean) < _CANCELLED else mean)
