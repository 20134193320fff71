"""The unit vectors of many prompts and their responses, made in one pass. Pure."""

from collections import defaultdict
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from itertools import accumulate, pairwise
from typing import Protocol

import numpy as np
from numpy.typing import NDArray

from app.embedding.unit import mean_direction
from app.prompts.embedding_field import Vector

Vectors = NDArray[np.float32]
"""Unit vectors, ``(n, dimensions)``."""

_CANCELLED = 1e-3


class _Embedded(Protocol):
    @property
    def embedding(self) -> Vector | None: ...


@dataclass(frozen=True, slots=True)
class SentVectors:
    """The vectors of a prompt, all of one length; ``prompt`` may be missing."""

    prompt: Vector | None
    responses: Sequence[Vector]


@dataclass(frozen=True, slots=True)
class PromptVectors:
    """The unit vectors of a prompt, ``(dimensions,)``, and of its responses, ``(n, dimensions)``.

    Without a vector of its own a prompt has the direction of its responses' mean.
    """

    prompt: NDArray[np.float32]
    responses: Vectors


def embeddings(responses: Iterable[_Embedded]) -> list[Vector]:
    """The vectors of responses that have one."""
    return [each.embedding for each in responses if each.embedding is not None]


def unit_vectors(prompts: Sequence[SentVectors]) -> list[PromptVectors | None]:
    """For each prompt its unit vectors, or None where its responses have none."""
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
