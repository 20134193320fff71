"""A file packed while it is streamed."""

import zlib
from enum import StrEnum

_GZIP = 16 + zlib.MAX_WBITS
_LEVEL = 6


class Compression(StrEnum):
    """How a file is packed."""

    NONE = "none"
    GZIP = "gzip"


class Gzip:
    """Packs pieces as one gzip file, which ends with its checksum and its length.

    So whoever unpacks it knows a file that broke off. It holds no time: the same bytes give the
    same bytes.
    """

    def __init__(self) -> None:
        self._packer = zlib.compressobj(_LEVEL, zlib.DEFLATED, _GZIP)

    def pack(self, piece: bytes) -> bytes:
        """Take the next bytes; give what is ready, maybe nothing."""
        return self._packer.compress(piece)

    def finish(self) -> bytes:
        """The rest, with the checksum last."""
        return self._packer.flush()
