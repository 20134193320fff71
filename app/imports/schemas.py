"""What an import answers."""

from collections.abc import Iterable, Sequence
from datetime import datetime
from typing import Any, Final, Literal

from pydantic import BaseModel, ConfigDict

from app.prompts.text import Reason
from app.settings import MAX_REJECTED_LINES_TOLD

_MAX_NAMES: Final = 1000
_OTHERS: Final = "(others)"


class RejectedLine(BaseModel):
    """A line, or an element of an array, counted from 1, and what is wrong with it."""

    line: int
    detail: str


class Dropped(BaseModel):
    """How many responses were left out, and why."""

    empty: int = 0
    duplicate: int = 0


class ImportReport(BaseModel):
    """What an import stored, left out and rejected.

    Every line that is not blank is counted once: it created a prompt, extended a prompt that was
    there already by new responses, added nothing to it, or was rejected. ``rejected`` and
    ``labels_left_out`` hold the first 1000 lines.
    """

    model_config = ConfigDict(
        json_schema_extra={
            "example": {
                "created": 489,
                "extended": 10,
                "unchanged": 0,
                "labels": 498,
                "rejected": [{"line": 12, "detail": "responses.0.text: Field required"}],
                "rejected_count": 1,
                "dropped": {"empty": 1, "duplicate": 0},
                "left_out_columns": {"tree_id": 499},
                "labels_left_out": [{"line": 7, "detail": "`winner` is empty"}],
                "labels_left_out_count": 1,
            }
        }
    )

    created: int = 0
    extended: int = 0
    unchanged: int = 0
    labels: int = 0
    rejected: list[RejectedLine] = []
    rejected_count: int = 0
    dropped: Dropped = Dropped()
    """Responses that are empty or repeat another of their prompt."""
    left_out_columns: dict[str, int] = {}
    """How many lines had a column that was left out, by its name."""
    labels_left_out: list[RejectedLine] = []
    """With ``labels=keep``: lines of which a preference was not kept, and why."""
    labels_left_out_count: int = 0

    def tell_rejected(self, lines: Iterable[RejectedLine]) -> None:
        """Count lines that are rejected; the first ones are told."""
        self.rejected_count += _tell(self.rejected, lines)

    def tell_refused(self, lines: Sequence[RejectedLine], count: int) -> None:
        """Count rows that could not be read from the file; ``lines`` are the first of them."""
        told = sorted([*self.rejected, *lines], key=lambda each: each.line)
        self.rejected = told[:MAX_REJECTED_LINES_TOLD]
        self.rejected_count += count

    def tell_labels_left_out(self, lines: Iterable[RejectedLine]) -> None:
        """Count lines whose preferences were not all kept; the first ones are told."""
        self.labels_left_out_count += _tell(self.labels_left_out, lines)

    def count_dropped(self, reason: Reason) -> None:
        """Count a response that was dropped."""
        setattr(self.dropped, reason, getattr(self.dropped, reason) + 1)

    def count_left_out(self, columns: Iterable[str]) -> None:
        """Count the columns of a line that were left out."""
        counts = self.left_out_columns
        for name in columns:
            known = name if name in counts or len(counts) < _MAX_NAMES else _OTHERS
            counts[known] = counts.get(known, 0) + 1


class ImportProgress(BaseModel):
    """How far an import is; the counts are as in its report, of the lines so far."""

    id: str
    started_at: datetime
    is_running: bool
    created: int
    extended: int
    unchanged: int
    rejected: int


class RunningImports(BaseModel):
    """A project's imports that run, or whose prompts are not planned yet."""

    imports: list[ImportProgress]


class Column(BaseModel):
    """A column of a file: what one line has in it, and what the import makes of it."""

    name: str
    example: str
    """Its first value that is not empty, cut after 200 characters; JSON where it is no text."""
    use: Literal["used", "left out", "ignored", "unread"]
    """``used``: it becomes a part of prompts, responses or labels. ``unread``: it stands only in
    lines that would be refused."""


class ImportPreview(BaseModel):
    """What an import would make of the first lines of a file. Nothing is stored."""

    lines: int
    """How many lines, rows or elements were looked at."""
    formats: dict[str, int]
    """How many lines were read by which format."""
    columns: list[Column]
    prompts: list[dict[str, Any]]
    """The first of them, as bodies of ``POST /prompts``."""
    labels: int
    """How many preferences the lines carry, which ``labels=keep`` would store."""
    rejected: list[RejectedLine]


def _tell(told: list[RejectedLine], lines: Iterable[RejectedLine]) -> int:
    found = sorted(lines, key=lambda each: each.line)
    told += found[: MAX_REJECTED_LINES_TOLD - len(told)]
    return len(found)
