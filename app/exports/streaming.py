"""Write a file and send it at the same time: a sink for libraries, and gzip."""

import zlib
from enum import StrEnum

_GZIP = 16 + zlib.MAX_WBITS
_LEVEL = 6


class Sink:
    """A file object for libraries to write to, from which the bytes are taken and sent."""

    closed = False

    def __init__(self) -> None:
        self._pieces: list[bytes] = []

    def write(self, piece: bytes) -> int:
        """Keep the bytes until they are taken."""
        self._pieces.append(bytes(piece))
        return len(piece)

    def flush(self) -> None:
        """Nothing is buffered elsewhere."""

    def close(self) -> None:
        """Mark the end of the file."""
        self.closed = True

    def take(self) -> bytes:
        """The bytes that were written since the last call."""
        taken = b"".join(self._pieces)
        self._pieces.clear()
        return taken


class Compression(StrEnum):
    """How a file is packed."""

    NONE = "none"
    GZIP = "gzip"


def gzip_packer() -> "zlib._Compress":
    """Packs pieces as one gzip file.

    It ends with its checksum and length, so a file that was cut off does not unpack. It holds no
    time: the same input gives the same bytes.
    """
    return zlib.compressobj(_LEVEL, zlib.DEFLATED, _GZIP)
