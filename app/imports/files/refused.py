"""The rows of a file that are not sent, because they cannot be read for sure."""

from dataclasses import dataclass, field

from app.imports.schemas import RejectedLine
from app.settings import MAX_REJECTED_LINES_TOLD


@dataclass(slots=True)
class RefusedRows:
    """Counts refused rows, and keeps the first of them."""

    count: int = 0
    told: list[RejectedLine] = field(default_factory=list)

    def add(self, line: int, detail: str) -> None:
        """Refuse the row that begins at this line of the file."""
        self.count += 1
        if len(self.told) < MAX_REJECTED_LINES_TOLD:
            self.told.append(RejectedLine(line=line, detail=detail))
