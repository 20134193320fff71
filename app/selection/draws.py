"""Reproducible random draws: hashes of the project's seed, the ids and the purpose.

A prompt gets the same draw at any time, in any process and in any order; draws for different
purposes are independent.
"""

import struct
from collections.abc import Sequence
from dataclasses import dataclass
from hashlib import blake2b

from app.selection.pair_grid import pair_columns

_EXPLORATION = b"exploration"
_EXPLORATION_PAIR = b"its pair"
_ORDER = b"order"
_OVERLAP = b"overlap"


@dataclass(frozen=True, slots=True)
class DrawnPair:
    """A pair drawn uniformly from all of a prompt's pairs, and how likely it was."""

    first_response_id: int
    second_response_id: int
    propensity: float


def exploration_draw(prompt_id: int, project_seed: int, share: float) -> bool:
    """Whether the prompt is an exploration prompt: with probability ``share``."""
    return _uniform(_EXPLORATION, project_seed, prompt_id) < share


def exploration_pair(prompt_id: int, project_seed: int, response_ids: Sequence[int]) -> DrawnPair:
    """One of the prompt's pairs, each as likely as any other."""
    ids = sorted(response_ids)
    first, second = pair_columns(len(ids))
    column = int(_uniform(_EXPLORATION_PAIR, project_seed, prompt_id) * len(first))
    return DrawnPair(ids[first[column]], ids[second[column]], 1.0 / len(first))


def order_key(prompt_id: int, project_seed: int) -> float:
    """A draw from [0, 1), which gives the uniform random order of the project's prompts."""
    return _uniform(_ORDER, project_seed, prompt_id)


def overlap_draw(first_response_id: int, second_response_id: int, project_seed: int) -> float:
    """A draw from [0, 1): if it is below the project's overlap share, the pair gets more labels."""
    return _uniform(_OVERLAP, project_seed, first_response_id, second_response_id)


def _uniform(purpose: bytes, *numbers: int) -> float:
    packed = struct.pack(f"<{len(numbers)}q", *numbers)
    digest = blake2b(packed, digest_size=8, person=purpose).digest()
    return (int.from_bytes(digest) >> 11) * 2.0**-53
