"""What an index reads from the database, and how far it has caught up."""

from typing import Any, Final, NamedTuple


class VectorSource(NamedTuple):
    """Which vectors the prompts of a project are grouped by."""

    project_id: int
    question_version: int | None = None
    """The version of the vectors of questions; None: the prompts' own, as callers gave them."""


class Position(NamedTuple):
    """The last row read of a table that is read by ``(written_by, prompt_id)``."""

    written_by: int
    prompt_id: int

    def as_parameters(self) -> dict[str, Any]:
        """For a query: as text, because the client does not know the type ``xid8``."""
        return {"written_by": str(self.written_by), "prompt_id": self.prompt_id}


class Mark(NamedTuple):
    """How far an index has caught up: it reflects every row up to here."""

    embedded: Position
    erased: Position


START: Final = Mark(Position(0, 0), Position(0, 0))
