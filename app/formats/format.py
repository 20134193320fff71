"""The contract of a format: what its lines look like, and what one line holds."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from app.errors import Location
from app.formats.row import Row


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
    no_label: str = "the line carries no preference"
    """Why there are no preferences, where there are none."""
    left_out: Sequence[str] = ()
    """The columns that were left out, by name; those within lists of objects are dotted."""
    is_desirable: bool | None = None
    """The line holds one response of a prompt, which is (or is not) desirable by itself.

    Such lines make a prompt where several of them stand together.
    """


@dataclass(frozen=True, slots=True)
class Format:
    """The lines of one tool or dataset. Each is defined in a module of this folder."""

    name: str
    description: str
    """The keys of such a line, as error messages list them."""
    matches: Callable[[Row], bool]
    """Whether a line has the keys of this format."""
    read: Callable[[Row], ReadLine]
    """Read a line that matches; raises InvalidInput, naming the field, where it is malformed.

    What it does not take of the row is left out: counted by name, or refused where the name is one
    that changes the meaning.
    """
    rank: int
    """A line that matches several formats is read by the one of the lowest rank."""


def has_keys(*keys: str) -> Callable[[Row], bool]:
    """Match the lines that have all of these keys, even if a value is null."""
    return lambda row: all(row.has(key) for key in keys)
