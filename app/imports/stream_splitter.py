"""Tell by the start of a stream what it holds, and cut it into lines or JSON values."""

import re
from collections.abc import Iterator
from typing import Final

from app.errors import UnsupportedMedia
from app.formats.encodings import UTF_8, encoding_of, name_of
from app.formats.file_kinds import other_kind
from app.imports.line_splitter import Line, LineSplitter
from app.imports.value_splitter import ValueSplitter

_NEEDED_BYTES: Final = 256
_MAX_BLANK_BYTES: Final = 64 * 1024
_BLANK: Final = re.compile(rb"(?:[ \t\r\n]++|\xef\xbb\xbf)*+")
_VALUES: Final = re.compile(rb"\[|\{[ \t]*[\r\n]\s*\"")
"""An array, or an object that is written over several lines."""


class StreamSplitter:
    """Takes chunks and gives lines, or the values of an array or of documents over several lines.

    ``is_document``: the stream is JSON as a whole, and not JSON lines.
    """

    def __init__(self, max_bytes: int, *, is_document: bool = False) -> None:
        self._max_bytes = max_bytes
        self._is_document = is_document
        self._start = b""
        self._splitter: LineSplitter | ValueSplitter | None = None

    @property
    def kept_bytes(self) -> int:
        """How much of a line or value has come whose end has not."""
        return len(self._start) if self._splitter is None else self._splitter.kept_bytes

    def feed(self, chunk: bytes) -> Iterator[Line]:
        """What ends in this chunk. Consume all of it before the next chunk.

        Raises:
            UnsupportedMedia: the stream is another kind of file, or in another encoding.
        """
        if self._splitter is not None:
            yield from self._splitter.feed(chunk)
            return
        self._start += chunk
        blank = len(self._start) - len(_without_blank(self._start))
        if len(self._start) - blank >= _NEEDED_BYTES or blank > _MAX_BLANK_BYTES:
            yield from self._begin().feed(self._start)

    def finish(self) -> Iterator[Line]:
        """What is left at the end of the stream.

        Raises:
            UnsupportedMedia: as ``feed`` does.
        """
        if self._splitter is None:
            yield from self._begin().feed(self._start)
        assert self._splitter is not None
        yield from self._splitter.finish()

    def _begin(self) -> LineSplitter | ValueSplitter:
        refuse_other_files(self._start)
        holds_values = self._is_document or starts_values(self._start)
        self._splitter = (ValueSplitter if holds_values else LineSplitter)(self._max_bytes)
        return self._splitter


def starts_values(start: bytes) -> bool:
    """Whether a stream with this start holds JSON values that are not one a line."""
    return _VALUES.match(_without_blank(start)) is not None


def refuse_other_files(start: bytes) -> None:
    """Refuse what is not text in UTF-8.

    Raises:
        UnsupportedMedia: it is not; the detail names what it is.
    """
    kind = other_kind(start)
    if kind is None and (encoding := encoding_of(start)) != UTF_8:
        kind = f"in {name_of(encoding)}"
    if kind is not None:
        raise UnsupportedMedia(
            f"the body is {kind}: send JSON in UTF-8, not compressed, or CSV or Parquet as what it"
            " is (`annotation-budget import` reads UTF-16 and gzip too)"
        )


def _without_blank(start: bytes) -> bytes:
    blank = _BLANK.match(start)
    assert blank is not None
    return start[blank.end() :]
