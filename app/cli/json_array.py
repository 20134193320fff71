"""A JSON array of any size as JSON lines, an element at a time: as Argilla and Label Studio export
their records."""

import codecs
import json
from collections.abc import Iterator
from pathlib import Path
from typing import BinaryIO, Final

from app.cli.errors import CommandFailed
from app.settings import MAX_LINE_BYTES

_CHUNK_CHARACTERS: Final = 256 * 1024
_SPACE: Final = " \t\r\n"
_NO_BREAKS: Final = str.maketrans("\r\n", "  ")


def array_lines(start: bytes, rest: BinaryIO, source: Path) -> Iterator[bytes]:
    """The elements, each as a line and as it stands in the file; one is in memory at a time.

    ``start`` is what has been read of the file, and ``rest`` gives what follows.

    Raises:
        CommandFailed: it is no array after all, or an element is over the limit of a line.
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
            # A line break within an element is space: within a string it would be written \n.
            yield element.translate(_NO_BREAKS).encode() + b"\n"
            if text.next_character() == "]":
                text.take("]")
                break
            text.take(",", after=number)
    if text.next_character():
        raise text.broken(f"something follows its {number} elements")


class _Text:
    """What has been read and not been taken yet."""

    def __init__(self, start: bytes, rest: BinaryIO, source: Path) -> None:
        self._decoder = codecs.getincrementaldecoder("utf-8-sig")()
        self._rest = rest
        self._source = source
        self._text = self._decoder.decode(start)
        self._at = 0
        self._is_whole = False

    def next_character(self) -> str:
        """The next character that is no space, not taken; empty at the end."""
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
                # A number may go on in what has not been read yet.
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
            # Twice as much each time: an element is parsed anew, but not over and over.
            self._read(max(_CHUNK_CHARACTERS, waiting))

    def broken(self, reason: str) -> CommandFailed:
        """What to tell; elements before may have been sent."""
        return CommandFailed(
            f"{self._source} is no JSON array ({reason}); elements before may have been imported."
        )

    def _read(self, size: int) -> None:
        chunk = self._rest.read(size)
        self._is_whole = not chunk
        self._text = self._text[self._at :] + self._decoder.decode(chunk, final=not chunk)
        self._at = 0
