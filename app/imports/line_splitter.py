"""Cut a stream of bytes into lines, in bounded memory."""

from collections.abc import Iterator
from dataclasses import dataclass

_BYTE_ORDER_MARK = b"\xef\xbb\xbf"


@dataclass(frozen=True, slots=True)
class Line:
    """A line that is not blank; lines are numbered from 1, and blank ones count."""

    number: int
    content: bytes | None
    """None: the line is longer than allowed."""


class LineSplitter:
    """Takes chunks and gives lines. It never keeps more than one line of ``max_bytes``."""

    def __init__(self, max_bytes: int) -> None:
        self._max_bytes = max_bytes
        self._number = 1
        self._pieces: list[bytes] = []
        self._kept_bytes = 0

    def feed(self, chunk: bytes) -> Iterator[Line]:
        """The lines that end in this chunk. Consume all of them before the next chunk."""
        *ended, rest = chunk.split(b"\n")
        for piece in ended:
            self._keep(piece)
            yield from self.finish()
        self._keep(rest)

    def _keep(self, piece: bytes) -> None:
        self._kept_bytes += len(piece)
        if self._kept_bytes > self._max_bytes:
            self._pieces.clear()
        elif piece:
            self._pieces.append(piece)

    def finish(self) -> Iterator[Line]:
        """The line that ends here, unless it is blank; the stream's last has no line feed."""
        content = b"".join(self._pieces)
        if self._number == 1:
            content = content.removeprefix(_BYTE_ORDER_MARK)
        if self._kept_bytes > self._max_bytes:
            yield Line(self._number, None)
        elif content and not content.isspace():
            yield Line(self._number, content)
        self._number += 1
        self._pieces.clear()
        self._kept_bytes = 0
