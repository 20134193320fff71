"""Cut a stream of bytes into lines, in bounded memory."""

import re
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Final

BYTE_ORDER_MARK: Final = b"\xef\xbb\xbf"
_LINE_END: Final = re.compile(rb"\r\n?|\n")


@dataclass(frozen=True, slots=True)
class Line:
    """A line that is not blank; lines are numbered from 1, and blank ones count."""

    number: int
    content: bytes | None
    """None: the line is longer than allowed, or there is a ``fault``."""
    fault: str | None = None
    """Why nothing can be read here."""


class LineSplitter:
    """Takes chunks and gives lines. It never keeps more than one line of ``max_bytes``.

    A line ends with a line feed, a carriage return, or both. Byte-order marks before a line are
    left out: where files have been joined, they stand in the middle.
    """

    def __init__(self, max_bytes: int) -> None:
        self._max_bytes = max_bytes
        self._number = 1
        self._pieces: list[bytes] = []
        self._kept_bytes = 0
        self._ends_in_return = False

    @property
    def kept_bytes(self) -> int:
        """How much of a line has come whose end has not."""
        return self._kept_bytes

    def feed(self, chunk: bytes) -> Iterator[Line]:
        """The lines that end in this chunk. Consume all of them before the next chunk."""
        *ended, rest = self._pieces_of(chunk)
        for piece in ended:
            self._keep(piece)
            yield from self.finish()
        self._keep(rest)

    def _pieces_of(self, chunk: bytes) -> list[bytes]:
        """What stands between the line ends of a chunk, and before and after them."""
        follows_return = self._ends_in_return
        if chunk:
            self._ends_in_return = chunk.endswith(b"\r")
        if follows_return:
            chunk = chunk.removeprefix(b"\n")
        return _LINE_END.split(chunk) if b"\r" in chunk else chunk.split(b"\n")

    def _keep(self, piece: bytes) -> None:
        self._kept_bytes += len(piece)
        if self._kept_bytes > self._max_bytes:
            self._pieces.clear()
        elif piece:
            self._pieces.append(piece)

    def finish(self) -> Iterator[Line]:
        """The line that ends here, unless it is blank; the stream's last has no line feed."""
        content = b"".join(self._pieces)
        while content.startswith(BYTE_ORDER_MARK):
            content = content.removeprefix(BYTE_ORDER_MARK)
        if self._kept_bytes > self._max_bytes:
            yield Line(self._number, None)
        elif content and not content.isspace():
            yield Line(self._number, content)
        self._number += 1
        self._pieces.clear()
        self._kept_bytes = 0
