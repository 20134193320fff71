"""Read the rows of a CSV or TSV file. Every cell is the text it is.

A row that does not fit its header is refused: its texts may have been cut, or stand in the wrong
columns.
"""

import csv
import io
import re
from collections.abc import Iterator, Sequence
from itertools import chain
from pathlib import Path
from typing import BinaryIO, Final, TextIO

from app.errors import FileUnreadable
from app.formats.encodings import BYTE_ORDER_MARK, STAND_IN, is_invalid
from app.imports.files.refused import RefusedRows

_MAX_CHARACTERS: Final = 32 * 1024 * 1024
_DELIMITERS: Final = {",": "commas", ";": "semicolons", "\t": "tabs"}
_DELIMITER_TOLD: Final = re.compile(r"sep=([,;\t])\s*")
"""The line with which Excel tells how the cells below are separated."""
_INDEX_COLUMN: Final = "Unnamed: 0"
"""What pandas calls the row numbers that it has written into a first column without a name."""

Row = tuple[int, dict[str, str]]
"""The line of the file at which a row begins, and its cells by column."""


def csv_rows(
    file: BinaryIO, encoding: str, source: Path, usual: str, refused: RefusedRows
) -> Iterator[Row]:
    """Every row, but for those that are ``refused``. ``usual``: the delimiter of such files.

    Raises:
        FileUnreadable: the header cannot be read for sure, or a line is too long.
    """
    csv.field_size_limit(_MAX_CHARACTERS)
    text = io.TextIOWrapper(file, encoding=encoding, errors=STAND_IN, newline="")
    try:
        lines = _Lines(text, source)
        rows = _numbered_rows(lines, source, usual, refused)
        header = next((cells for _, cells in rows), None)
        if header is not None:
            _check_header(header, source)
            for number, cells in rows:
                fault = _fault(header, cells)
                if fault is None:
                    yield number, _row(header, cells)
                else:
                    refused.add(number, fault)
    finally:
        # Without this, the wrapper would close the caller's file.
        text.detach()


class _Lines:
    """The lines of a text, as the CSV reader asks for them."""

    def __init__(self, text: TextIO, source: Path) -> None:
        self._text = text
        self._source = source
        self.number = 0
        """How many have been read."""
        self.begins_row = True
        self.quotes = 0
        """How many the row has that is being read."""

    def __iter__(self) -> Iterator[str]:
        return self

    def __next__(self) -> str:
        line = self._text.readline(_MAX_CHARACTERS)
        if not line:
            raise StopIteration
        self.number += 1
        if len(line) == _MAX_CHARACTERS:
            raise FileUnreadable(f"{self._source}: line {self.number} is too long for a CSV file.")
        if self.begins_row:
            # Where files have been joined, a mark stands in the middle.
            line = line.lstrip(BYTE_ORDER_MARK)
            self.quotes = 0
        self.begins_row = False
        self.quotes += line.count('"')
        return line


def _numbered_rows(
    lines: _Lines, source: Path, usual: str, refused: RefusedRows
) -> Iterator[tuple[int, list[str]]]:
    """The rows that are not empty, the header's first, and the lines at which they begin."""
    first = next((line for line in lines if line.strip()), "")
    if not first:
        return
    told = _DELIMITER_TOLD.fullmatch(first)
    delimiter = told[1] if told else _delimiter(first, source, usual)
    rest = lines if told else chain([first], lines)
    reader = csv.reader(rest, delimiter=delimiter, strict=True)
    number = lines.number + 1 if told else lines.number
    while True:
        lines.begins_row = True
        try:
            cells = next(reader)
        except StopIteration:
            return
        except csv.Error as error:
            # A quote is still open: what follows up to the one that closes it is no row.
            while lines.quotes % 2 and next(lines, None) is not None:
                pass
            lost = f"; lines {number} to {lines.number} were not read"
            refused.add(number, f"not CSV: {error}{lost if lines.number > number else ''}")
        else:
            if any(cells):
                yield number, cells
        number = lines.number + 1


def _delimiter(header: str, source: Path, usual: str) -> str:
    """What separates the cells, by the header's first line.

    It is the only delimiter there, or the usual one, which makes more columns than any other.

    Raises:
        FileUnreadable: the line leaves a doubt.
    """
    columns = {each: len(next(csv.reader([header], delimiter=each))) for each in _DELIMITERS}
    found = [each for each, count in columns.items() if count > 1]
    if len(found) == 1:
        return found[0]
    if found and all(columns[usual] > columns[each] for each in found if each != usual):
        return usual
    names = list(_DELIMITERS.values())
    raise FileUnreadable(
        f"{source}: the first line does not tell how cells are separated. Write the names of the"
        f" columns into it, with {', '.join(names[:-1])} or {names[-1]} between."
    )


def _check_header(header: Sequence[str], source: Path) -> None:
    if any(map(is_invalid, header)):
        raise FileUnreadable(f"{source}: the names of the columns are not UTF-8.")
    named = [name for name in header if name]
    twice = sorted({name for name in named if named.count(name) > 1})
    if twice:
        raise FileUnreadable(f"{source}: two columns have the name {twice[0]!r}.")


def _fault(header: Sequence[str], cells: Sequence[str]) -> str | None:
    """Why a row cannot be read for sure; None where it can."""
    if len(cells) != len(header):
        return (
            f"{len(cells)} cells, but {len(header)} columns in the header: a cell that holds the"
            " delimiter or a line break must stand in quotes"
        )
    if any(map(is_invalid, cells)):
        return "not UTF-8"
    if list(cells) == list(header):
        return "the header again: have files been joined?"
    for number, (name, cell) in enumerate(zip(header, cells, strict=True), start=1):
        is_index = number == 1 and cell.isdecimal()
        if cell and not name and not is_index:
            return f"cell {number} stands in a column without a name"
    return None


def _row(header: Sequence[str], cells: Sequence[str]) -> dict[str, str]:
    """The cells by column. Those of a column without a name are empty, but for row numbers."""
    row = {name: cell for name, cell in zip(header, cells, strict=True) if name}
    if not header[0] and cells[0]:
        row[_INDEX_COLUMN] = cells[0]
    return row
