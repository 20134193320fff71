"""A line's columns, read by name, so that what nobody reads is known. Pure."""

from collections.abc import Callable, Collection, Iterator, Mapping
from typing import Any, Final

from app.errors import InvalidInput
from app.formats.json import parse_json, refuse_repeated_keys
from app.formats.meaning import Meaning, is_empty, meaning_of, says_nothing

Line = dict[str, Any]
"""A line of a file: a JSON object."""

_MAX_NAME_CHARACTERS: Final = 100
_TEXTS: Final = (Meaning.SYSTEM, Meaning.MORE_TEXT)


class Row:
    """The columns of a line, or of an object in it.

    Reading a column takes it. ``left_out`` tells what has not been taken.
    """

    __slots__ = ("_columns", "_ignored", "_name", "_parts", "_place", "_taken")

    def __init__(self, columns: Mapping[str, Any], place: str = "", name: str = "") -> None:
        self._columns = columns
        self._place = place
        self._name = name
        self._taken: set[str] = set()
        self._ignored: frozenset[str] = frozenset()
        self._parts: list[Row] = []

    @property
    def place(self) -> str:
        """Where the object stands in the line: ``completions.3``; empty for the line itself."""
        return self._place

    def where(self, name: str) -> str:
        """A column as error messages call it."""
        return f"{self._place}.{name}" if self._place else name

    def has(self, name: str) -> bool:
        """Whether there is a column of that name, even with null."""
        return name in self._columns and name not in self._ignored

    def gives(self, name: str) -> bool:
        """Whether the column is there and not empty."""
        return self.has(name) and not is_empty(self._columns[name])

    def names(self) -> Iterator[str]:
        """The names of all columns that are not empty."""
        return (name for name in self._columns if self.gives(name))

    def order(self, names: Collection[str]) -> list[str]:
        """These columns in the order of the line."""
        return [name for name in self._columns if name in names]

    def peek(self, name: str) -> Any:
        """The column's value, without taking it; None where there is none."""
        return self._columns.get(name)

    def take(self, name: str) -> Any:
        """The column's value; None where there is none."""
        self._taken.add(name)
        return self._columns.get(name)

    def ignore(self, *names: str) -> None:
        """Take columns that only repeat what others say; they are as if they were not there."""
        self._taken.update(names)
        self._ignored = self._ignored.union(names)

    def put(self, name: str, value: Any) -> None:
        """Replace a column's value by what it stands for."""
        self._columns = {**self._columns, name: value}

    def structure(self, name: str) -> Any:
        """A column that holds a list or an object, or a string with its JSON."""
        value = self.take(name)
        found = decoded(value)
        refuse_repeats(value, found)
        return found

    def object(self, name: str) -> "Row":
        """A column that holds an object.

        Raises:
            InvalidInput: it holds something else.
        """
        value = self.structure(name)
        if not isinstance(value, dict):
            raise InvalidInput(f"{self.where(name)}: must be an object")
        return self._part(value, name, name)

    def objects(self, name: str) -> "list[Row]":
        """A column that holds a list of objects.

        Raises:
            InvalidInput: it holds something else.
        """
        return self.parts(self.structure(name), name)

    def parts(self, values: Any, name: str) -> "list[Row]":
        """A list of objects that was taken from the column ``name``, as rows of their own.

        Raises:
            InvalidInput: it is something else.
        """
        if not isinstance(values, list):
            raise InvalidInput(f"{self.where(name)}: must be a list")
        for index, value in enumerate(values):
            if not isinstance(value, dict):
                raise InvalidInput(f"{self.where(name)}.{index}: must be an object")
        return [self._part(value, f"{name}.{index}", name) for index, value in enumerate(values)]

    def _part(self, columns: Mapping[str, Any], place: str, name: str) -> "Row":
        part = Row(columns, self.where(place), f"{self._name}.{name}" if self._name else name)
        self._parts.append(part)
        return part

    def left_out(self) -> Iterator[tuple[str, str, Any]]:
        """Where each column stands that was not taken, what it is called, and its value."""
        for name, value in self._columns.items():
            if name not in self._taken and not says_nothing(value):
                cut = name[:_MAX_NAME_CHARACTERS]
                yield self.where(cut), f"{self._name}.{cut}" if self._name else cut, value
        for part in self._parts:
            yield from part.left_out()

    def only(self, accepts: Callable[[str], bool]) -> list[str]:
        """The columns that are not empty, not taken, and whose name is accepted."""
        return [
            name
            for name in self.names()
            if name not in self._taken and accepts(name) and not says_nothing(self._columns[name])
        ]

    def refuse_what_changes_the_meaning(self) -> None:
        """Refuse the line if a column was left out that changes what it means.

        Raises:
            InvalidInput: there is one; the detail names it.
        """
        for where, name, value in self.left_out():
            meaning = meaning_of(name.rpartition(".")[2])
            # A truth value is a remark on the line; so is a number, unless it stands for a text.
            is_number = isinstance(value, int | float) and not isinstance(value, bool)
            is_part = isinstance(value, str | list | dict) or (is_number and meaning in _TEXTS)
            if meaning is not None and is_part:
                raise InvalidInput(
                    f"{where}: cannot be used here, and leaving it out would change the line"
                    f" ({meaning.value})"
                )


def decoded(value: Any) -> Any:
    """A list or an object from its JSON; any other value as it is."""
    if isinstance(value, str) and value.lstrip()[:1] in ("[", "{"):
        try:
            return parse_json(value.encode())
        except InvalidInput:
            return value
    return value


def refuse_repeats(value: Any, found: Any) -> None:
    """Refuse JSON with an object that has a key twice; ``found`` is what it was decoded to.

    Raises:
        InvalidInput: there is one.
    """
    if isinstance(value, str) and not isinstance(found, str):
        refuse_repeated_keys(value.encode(), found)
