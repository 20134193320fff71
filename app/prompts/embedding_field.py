"""The callers' own vectors, as a field of a request: a list of numbers, or base64."""

from array import array
from typing import Annotated, Any

import numpy as np
from numpy.typing import NDArray
from pydantic import PlainValidator, WithJsonSchema

from app.embedding.unit import InvalidVector, decode_base64_float32, normalise
from app.settings import MAX_EMBEDDING_DIMENSIONS

Vector = NDArray[np.float32]
_NUMBERS = {float, int}


def _unit_vector(sent: Any) -> Vector:
    """A unit vector, ``(dimensions,)``. The numbers are read in bulk, not one by one."""
    if isinstance(sent, str):
        numbers: NDArray[Any] = decode_base64_float32(sent)
    elif isinstance(sent, list):
        numbers = _numbers(sent)
    else:
        raise InvalidVector("must be a list of numbers, or base64 of little-endian float32")
    if len(numbers) > MAX_EMBEDDING_DIMENSIONS:
        raise InvalidVector(f"has more than {MAX_EMBEDDING_DIMENSIONS} numbers")
    return normalise(numbers)


def _numbers(sent: list[Any]) -> NDArray[np.float64]:
    try:
        numbers = np.frombuffer(array("d", sent), dtype=np.float64)
    except (TypeError, OverflowError):
        raise InvalidVector("must be a list of numbers") from None
    # `array` takes true for 1 and false for 0, which real vectors hardly ever hold: only where
    # such numbers stand is it worth looking at each.
    if ((numbers == 0) | (numbers == 1)).any() and not _NUMBERS.issuperset(map(type, sent)):
        raise InvalidVector("must be a list of numbers")
    return numbers


Embedding = Annotated[
    Vector,
    PlainValidator(_unit_vector),
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
"""A field that holds a caller's vector, normalised."""
