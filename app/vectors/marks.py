"""How far an index has caught up with the database."""

from typing import Final, NamedTuple


class Position(NamedTuple):
    """The last row read of a table that is read by ``(written_by, prompt_id)``."""

    written_by: int
    prompt_id: int


class Mark(NamedTuple):
    """How far an index has caught up: it reflects every row up to here."""

    embedded: Position
    erased: Position


START: Final = Mark(Position(0, 0), Position(0, 0))
