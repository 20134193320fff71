"""The contract of a format: what its lines look like, and what one line holds."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from app.errors import Location

Line = dict[str, Any]
"""A line of a file: a JSON object."""


@dataclass(frozen=True, slots=True)
class Preference:
    """One vote on two responses of a line, given by their indexes, in any order."""

    responses: tuple[int, int]
    preferred: int | None
    """The better response; None: a tie, or both are bad."""
    annotator: str | None = None
    """Who voted; None: the source does not say."""
    strength: int | None = None
    both_bad: bool = False


@dataclass(frozen=True, slots=True)
class ReadLine:
    """A line as the body of ``POST /prompts``, with the preferences it carries."""

    prompt: dict[str, Any]
    preferences: Sequence[Preference] = ()
    names: Mapping[Location, str] = field(default_factory=dict)
    """What the line itself calls the fields of ``prompt``, for error messages."""


@dataclass(frozen=True, slots=True)
class Format:
    """The lines of one tool or dataset. Each is defined in a module of this folder."""

    name: str
    description: str
    """The keys of such a line, as error messages list them."""
    matches: Callable[[Line], bool]
    """Whether a line has the keys of this format."""
    read: Callable[[Line], ReadLine]
    """Read a line that matches; raises InvalidInput, naming the field, where it is malformed."""
    rank: int
    """A line that matches several formats is read by the one of the lowest rank."""


def has_keys(*keys: str) -> Callable[[Line], bool]:
    """Match the lines that have all of these keys."""
    return lambda line: all(key in line for key in keys)
