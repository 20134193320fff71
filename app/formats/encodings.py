"""How a file writes its characters: Unicode encodings and byte-order marks. Pure."""

import codecs
import re
from collections.abc import Iterable, Iterator
from typing import Final

UTF_8: Final = "utf-8"
BYTE_ORDER_MARK: Final = "\ufeff"
STAND_IN: Final = "annotation-budget-stand-in"
"""How to decode bytes that are no characters: each becomes a surrogate (``is_invalid``)."""

_MARKS: Final = (
    # The mark of UTF-16 is the start of that of UTF-32.
    (codecs.BOM_UTF32_LE, "utf-32-le"),
    (codecs.BOM_UTF32_BE, "utf-32-be"),
    (codecs.BOM_UTF16_LE, "utf-16-le"),
    (codecs.BOM_UTF16_BE, "utf-16-be"),
)
_PATTERNS: Final = (
    # Without a mark, the zeros of the first characters tell: a file starts with ASCII.
    (re.compile(rb"\0\0\0[^\0]"), "utf-32-be"),
    (re.compile(rb"[^\0]\0\0\0"), "utf-32-le"),
    (re.compile(rb"\0[^\0]"), "utf-16-be"),
    (re.compile(rb"[^\0]\0"), "utf-16-le"),
)
_SURROGATES: Final = re.compile("[\ud800-\udfff]")


def encoding_of(start: bytes) -> str:
    """The codec that reads a file with this start; UTF-8 unless the start says otherwise.

    The codecs keep byte-order marks: files joined together have them in the middle, too.
    """
    for mark, encoding in _MARKS:
        if start.startswith(mark):
            return encoding
    for pattern, encoding in _PATTERNS:
        if pattern.match(start):
            return encoding
    return UTF_8


def name_of(encoding: str) -> str:
    """The name of an encoding as a person knows it, such as ``UTF-16``."""
    return encoding.upper().removesuffix("-LE").removesuffix("-BE")


def in_utf_8(chunks: Iterable[bytes], encoding: str) -> Iterator[bytes]:
    """The same text in UTF-8. Bytes that are no characters become bytes that are not UTF-8."""
    if encoding == UTF_8:
        yield from chunks
        return
    decoder = codecs.getincrementaldecoder(encoding)(STAND_IN)
    for chunk in chunks:
        yield decoder.decode(chunk).encode(UTF_8, "surrogatepass")
    yield decoder.decode(b"", final=True).encode(UTF_8, "surrogatepass")


def is_invalid(text: str) -> bool:
    """Whether some of the text was no characters, and has been decoded with ``STAND_IN``."""
    return _SURROGATES.search(text) is not None


def _stand_in(error: UnicodeError) -> tuple[str, int]:
    if not isinstance(error, UnicodeDecodeError):
        raise error
    return "\udfff", error.end


codecs.register_error(STAND_IN, _stand_in)
