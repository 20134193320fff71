"""The callers' own vectors, as a field of a request: a list of numbers, or base64."""

import struct
from typing import Annotated, Any

import numpy as np
from numpy.typing import NDArray
from pydantic import PlainValidator, WithJsonSchema

from app.embedding.unit import InvalidVector, decode_base64_float32, normalise
from app.settings import MAX_EMBEDDING_DIMENSIONS

Vector = NDArray[np.float32]
"""A vector as it was sent, ``(dimensions,)``: of any length within reason, but not of none."""

_NUMBERS = {float, int}
_SMALL, _LARGE = 1e-30, 1e30


def _vector(sent: Any) -> Vector:
    """The numbers, read in bulk and not one by one; ``unit_vectors`` normalises many at once."""
    if isinstance(sent, str):
        numbers: NDArray[Any] = decode_base64_float32(sent)
    elif isinstance(sent, list):
        numbers = _numbers(sent)
    else:
        raise InvalidVector("must be a list of numbers, or base64 of little-endian float32")
    if len(numbers) > MAX_EMBEDDING_DIMENSIONS:
        raise InvalidVector(f"has more than {MAX_EMBEDDING_DIMENSIONS} numbers")
    if _SMALL < np.vdot(numbers, numbers) < _LARGE:
        return numbers.astype(np.float32, copy=False)
    # Out of the ordinary: huge or tiny, or of no direction at all, which is refused here.
    return normalise(numbers)


def _numbers(sent: list[Any]) -> NDArray[np.float64]:
    try:
        numbers = np.frombuffer(struct.pack(f"{len(sent)}d", *sent), dtype=np.float64)
    except (struct.error, OverflowError):
        raise InvalidVector("must be a list of numbers") from None
    # True passes for 1 and false for 0, which real vectors hardly ever hold: only where such
    # numbers stand is it worth looking at each.
    has_zero_or_one = np.count_nonzero(numbers) < len(sent) or np.count_nonzero(numbers == 1)
    if has_zero_or_one and not _NUMBERS.issuperset(map(type, sent)):
        raise InvalidVector("must be a list of numbers")
    return numbers


Embedding = Annotated[
    Vector,
    PlainValidator(_vector),
    WithJsonSchema(
        {
            "anyOf": [
                {"type": "array", "items": {"type": "number"}, "minItems": 1},
                {"type": "string", "contentEncoding": "base64"},
            ],
            "description": "A vector of your own: numbers, or base64 of little-endian float32",
        }
    ),
]
"""A field that holds a caller's vector."""
