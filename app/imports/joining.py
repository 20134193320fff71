"""Join the rows that hold one response each, as KTO has them, to prompts. Pure."""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Any

from app.errors import Location
from app.formats.format import Preference, ReadLine
from app.settings import MAX_RESPONSES


@dataclass(frozen=True, slots=True)
class NumberedRead:
    """What was read, and the numbers of the lines that it comes from."""

    numbers: Sequence[int]
    read: ReadLine


class RowJoiner:
    """Joins rows of one response that stand together and have the same prompt and id.

    Each desirable response is preferred to each that is not. Other lines pass as they are. It keeps
    one prompt in memory, and of that not much more than its responses.
    """

    def __init__(self) -> None:
        self._numbers: list[int] = []
        self._rows: list[ReadLine] = []

    def add(self, number: int, read: ReadLine) -> list[NumberedRead]:
        """What is complete now that this line has come."""
        if read.is_desirable is None:
            return [*self.finish(), NumberedRead([number], read)]
        complete = []
        if self._rows and not _is_same_prompt(self._rows[0], read):
            complete = self.finish()
        self._numbers.append(number)
        if len(self._rows) <= MAX_RESPONSES:  # one too many is refused with the whole prompt
            self._rows.append(read)
        return complete

    def finish(self) -> list[NumberedRead]:
        """What is complete because no more rows of its prompt come."""
        if not self._rows:
            return []
        joined = NumberedRead(self._numbers, _joined(self._rows))
        self._numbers, self._rows = [], []
        return [joined]


def _is_same_prompt(one: ReadLine, other: ReadLine) -> bool:
    return all(one.prompt.get(name) == other.prompt.get(name) for name in ("id", "prompt", "tools"))


def _joined(rows: Sequence[ReadLine]) -> ReadLine:
    names: dict[Location, str] = {
        ("prompt",): rows[0].names[("prompt",)],
        ("responses",): "completion",
    }
    for index in range(len(rows)):
        names[("responses", index)] = names[("responses", index, "text")] = "completion"
    return replace(
        rows[0],
        prompt=rows[0].prompt
        | {
            "responses": [response for row in rows for response in row.prompt["responses"]],
            "metadata": _merged_metadata(rows),
        },
        preferences=[
            Preference((min(good, bad), max(good, bad)), good)
            for good, liked in enumerate(rows)
            for bad, disliked in enumerate(rows)
            if liked.is_desirable and not disliked.is_desirable
        ],
        names=names,
        no_label="all of its responses are desirable, or none is",
        left_out=sorted({name for row in rows for name in row.left_out}),
    )


def _merged_metadata(rows: Sequence[ReadLine]) -> Any:
    """The keys of all rows; the last of each counts, as for rows of other formats."""
    given = [row.prompt["metadata"] for row in rows if row.prompt.get("metadata") is not None]
    if not all(isinstance(each, dict) for each in given):
        return next(each for each in given if not isinstance(each, dict))  # which is refused
    return {name: value for each in given for name, value in each.items()} if given else None
