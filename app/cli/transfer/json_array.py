"""Read a JSON array of any size as JSON lines, one element at a time.

Argilla and Label Studio export their records as such arrays.
"""

import codecs
import json
from collections.abc import Iterator
from pathlib import Path
from typing import BinaryIO, Final

from app.errors import CommandFailed
from app.settings import MAX_LINE_BYTES

_CHUNK_CHARACTERS: Final = 256 * 1024
_SPACE: Final = " \t\r\n"
_NO_BREAKS: Final = str.maketrans("\r\n", "  ")


def array_lines(start: bytes, rest: BinaryIO, source: Path) -> Iterator[bytes]:
    """Each element as a line, its text unchanged; only one is in memory at a time.

    ``start`` is what has been read of the file already; ``rest`` is read for more.

    Raises:
        CommandFailed: it is not a JSON array, or an element is longer than a line may be.
        UnicodeDecodeError: it is not UTF-8.
    """
    text = _Text(start, rest, source)
    decoder = json.JSONDecoder()
    text.take("[")
    number = 0
    if text.next_character() == "]":
        text.take("]")
    else:
        while True:
            number += 1
            element = text.take_element(decoder, number)
            # JSON strings hold no raw line breaks, so each of these only separates tokens.
            yield element.translate(_NO_BREAKS).encode() + b"\n"
            if text.next_character() == "]":
                text.take("]")
                break
            text.take(",", after=number)
    if text.next_character():
        raise text.broken(f"something follows its {number} elements")


class _Text:
    """The text that has been read and not been consumed yet."""

    def __init__(self, start: bytes, rest: BinaryIO, source: Path) -> None:
        self._decoder = codecs.getincrementaldecoder("utf-8-sig")()
        self._rest = rest
        self._source = source
        self._text = self._decoder.decode(start)
        self._at = 0
        self._is_whole = False

    def next_character(self) -> str:
        """Look at the next character that is not space; empty at the end of the file."""
        while True:
            while self._at < len(self._text):
                if self._text[self._at] not in _SPACE:
                    return self._text[self._at]
                self._at += 1
            if self._is_whole:
                return ""
            self._read(_CHUNK_CHARACTERS)

    def take(self, character: str, *, after: int = 0) -> None:
        if self.next_character() != character:
            raise self.broken(f"after element {after} there is no {character!r}")
        self._at += 1

    def take_element(self, decoder: json.JSONDecoder, number: int) -> str:
        self.next_character()
        while True:
            try:
                _, end = decoder.raw_decode(self._text, self._at)
            except (json.JSONDecodeError, RecursionError) as error:
                reason = getattr(error, "msg", "nested too deeply")
            else:
                # A number at the end may continue in the next chunk.
                if end < len(self._text) or self._is_whole:
                    element = self._text[self._at : end]
                    self._at = end
                    return element
                reason = "it has no end"
            if self._is_whole:
                raise self.broken(f"element {number}: {reason}")
            waiting = len(self._text) - self._at
            if waiting > MAX_LINE_BYTES:
                raise self.broken(
                    f"element {number} is over {MAX_LINE_BYTES} bytes, or broken: {reason}"
                )
            # Double what is read each time: a long element is parsed again only a few times.
            self._read(max(_CHUNK_CHARACTERS, waiting))

    def broken(self, reason: str) -> CommandFailed:
        """The error; the elements before this place may have been sent already."""
        return CommandFailed(
            f"{self._source} is no JSON array ({reason}); elements before may have been imported."
        )

    def _read(self, size: int) -> None:
        chunk = self._rest.read(size)
        self._is_whole = not chunk
        self._text = self._text[self._at :] + self._decoder.decode(chunk, final=not chunk)
        self._at = 0
