"""The callers' own vectors: the field of a request that holds one, and their unit vectors. Pure."""

import struct
from collections import defaultdict
from collections.abc import Sequence
from dataclasses import dataclass
from itertools import accumulate, pairwise
from typing import Annotated, Any

import numpy as np
from numpy.typing import NDArray
from pydantic import PlainValidator, WithJsonSchema

from app.embedding.unit import InvalidVector, decode_base64_float32, mean_direction, normalise
from app.settings import MAX_EMBEDDING_DIMENSIONS

Vector = NDArray[np.float32]
"""A vector of any length but 0, ``(dimensions,)``."""
Vectors = NDArray[np.float32]
"""Unit vectors, ``(n, dimensions)``."""

_NUMBERS = {float, int}
_SMALL, _LARGE = 1e-30, 1e30
_CANCELLED = 1e-3


def _vector(sent: Any) -> Vector:
    """Read the numbers all at once; ``unit_vectors`` normalises them later, many at a time."""
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
    # Huge, tiny, zero or not finite: normalise in float64, which refuses the last two.
    return normalise(numbers)


def _numbers(sent: list[Any]) -> NDArray[np.float64]:
    try:
        numbers = np.frombuffer(struct.pack(f"{len(sent)}d", *sent), dtype=np.float64)
    except (struct.error, OverflowError):
        raise InvalidVector("must be a list of numbers") from None
    # Booleans pack as 1 and 0. Real vectors hardly ever hold those, so checking the types only
    # where they occur keeps the common case fast.
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
"""A field that holds a caller's vector: a list of numbers, or base64."""


@dataclass(frozen=True, slots=True)
class SentVectors:
    """The vectors of a prompt and its responses, as sent; all have the same length."""

    prompt: Vector | None
    responses: Sequence[Vector]


@dataclass(frozen=True, slots=True)
class PromptVectors:
    """The unit vectors of a prompt, ``(dimensions,)``, and of its responses, ``(n, dimensions)``.

    A prompt without a vector of its own has the direction of its responses' mean.
    """

    prompt: NDArray[np.float32]
    responses: Vectors


def unit_vectors(prompts: Sequence[SentVectors]) -> list[PromptVectors | None]:
    """The unit vectors of each prompt, made together; None where its responses have none."""
    found: list[PromptVectors | None] = [None] * len(prompts)
    of_length: dict[int, list[int]] = defaultdict(list)
    for number, prompt in enumerate(prompts):
        if prompt.responses:
            of_length[len(prompt.responses[0])].append(number)
    for numbers in of_length.values():
        alike = [prompts[number] for number in numbers]
        for number, vectors in zip(numbers, _of_one_length(alike), strict=True):
            found[number] = vectors
    return found


def _of_one_length(prompts: Sequence[SentVectors]) -> list[PromptVectors]:
    unit = _normalised([vector for prompt in prompts for vector in prompt.responses])
    edges = [0, *accumulate(len(prompt.responses) for prompt in prompts)]
    responses = [unit[start:end] for start, end in pairwise(edges)]
    directions = _mean_directions(unit, edges[:-1], responses)
    own = {at: each.prompt for at, each in enumerate(prompts) if each.prompt is not None}
    if own:
        directions[list(own)] = _normalised(list(own.values()))
    return list(map(PromptVectors, directions, responses))


def _normalised(vectors: Sequence[Vector]) -> Vectors:
    rows = np.stack(vectors)
    return np.divide(rows, _lengths(rows))


def _lengths(rows: Vectors) -> Vectors:
    """The length of each row, ``(n, 1)``."""
    squares: NDArray[np.float64] = np.einsum("ij,ij->i", rows, rows, dtype=np.float64)
    return np.sqrt(squares).astype(np.float32)[:, None]


def _mean_directions(unit: Vectors, starts: list[int], parts: Sequence[Vectors]) -> Vectors:
    """The direction of the mean of each part of ``unit``, ``(parts, dimensions)``."""
    sums = np.add.reduceat(unit, starts, axis=0)
    lengths = _lengths(sums)
    cancelled = np.flatnonzero(lengths < _CANCELLED).tolist()
    lengths[cancelled] = 1
    directions = np.divide(sums, lengths)
    for number in cancelled:
        directions[number] = mean_direction(parts[number])
    return directions
