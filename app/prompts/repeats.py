"""Which responses of a prompt stay: real samples repeat themselves and are sometimes empty."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Literal

Reason = Literal["empty", "duplicate"]


@dataclass(frozen=True, slots=True)
class Distinct:
    """Places of the texts that stay, and what became of the others."""

    kept: tuple[int, ...]
    dropped: Mapping[int, Reason]
    same_as: Mapping[int, int]
    """For each kept or repeated text, the place of the one that stands for it."""


def keep_distinct(texts: Sequence[str]) -> Distinct:
    """The first of each text; texts are compared without the space around them."""
    first_of: dict[str, int] = {}
    dropped: dict[int, Reason] = {}
    same_as: dict[int, int] = {}
    for place, text in enumerate(texts):
        bare = text.strip()
        if not bare:
            dropped[place] = "empty"
            continue
        first = first_of.setdefault(bare, place)
        same_as[place] = first
        if first != place:
            dropped[place] = "duplicate"
    return Distinct(tuple(first_of.values()), dropped, same_as)
