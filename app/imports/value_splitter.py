"""Cut a stream of bytes into JSON values: the elements of an array, or one value after another."""

import json
import re
from collections.abc import Iterator
from typing import Final

import orjson

from app.imports.line_splitter import BYTE_ORDER_MARK, Line

_SPACE: Final = re.compile(rb"(?:[ \t\r\n]++|\xef\xbb\xbf)*+")
_IN_STRING: Final = re.compile(rb'[^"\\]*+(?:\\.[^"\\]*+)*+', re.DOTALL)
_STRUCTURE: Final = re.compile(rb'["\[\]{}]')
_SCALAR: Final = re.compile(rb'[^ \t\r\n,\[\]{}"]*+')
_NOT_READ: Final = "what follows it was not read"


class ValueSplitter:
    """Takes chunks and gives values, numbered from 1. It keeps one of ``max_bytes``, not more.

    A value that is not JSON may end anywhere, so it is told as the last one, and the rest of the
    stream is not read. Arrays that follow each other count as one.
    """

    def __init__(self, max_bytes: int) -> None:
        self._max_bytes = max_bytes
        self._number = 0
        self._buffer = bytearray()
        self._at = 0  # the bytes before have been looked at
        self._start: int | None = None  # where the value begins
        self._depth = 0
        self._is_in_string = False
        self._is_too_long = False
        self._is_in_array = False
        self._follows: bytes = b""  # the `[`, `,` or value before, inside an array
        self._is_stopped = False

    @property
    def kept_bytes(self) -> int:
        """How much of a value has come whose end has not."""
        return len(self._buffer)

    def feed(self, chunk: bytes) -> Iterator[Line]:
        """The values that end in this chunk. Consume all of them before the next chunk."""
        if self._is_stopped:
            return
        self._buffer += chunk
        while (line := self._next_line()) is not None:
            yield line
        self._forget()

    def finish(self) -> Iterator[Line]:
        """What is left at the end of the stream: a last number, or what is missing."""
        if self._is_stopped:
            return
        if self._start is not None:
            if self._depth or self._is_in_string or self._is_in_array:
                yield self._stop("it has no end: the file is cut off, or a quote is not closed")
            else:
                yield self._taken()
        elif self._at < len(self._buffer):
            yield self._stop("not valid JSON")
        elif self._is_in_array:
            yield self._stop("the array has no end: the file is cut off")

    def _next_line(self) -> Line | None:
        """The next value, or what is wrong; None where the buffer holds no whole one."""
        while not self._is_stopped:
            if self._start is not None:
                return self._taken() if self._reach_end() else None
            byte = self._next_byte()
            if not byte:
                return None
            if (fault := self._pass(byte)) is not None:
                return self._stop(fault)
        return None

    def _next_byte(self) -> bytes:
        """The next byte that is not space; empty where the buffer ends before."""
        self._at = _end(_SPACE, self._buffer, self._at)
        rest = self._buffer[self._at : self._at + len(BYTE_ORDER_MARK)]
        return b"" if BYTE_ORDER_MARK.startswith(rest) else bytes(rest[:1])

    def _pass(self, byte: bytes) -> str | None:
        """Pass a separator, or begin a value; gives what is wrong with it."""
        if not self._is_in_array:
            if byte in b",:]}":
                return f"not valid JSON: {byte.decode()} stands before any value"
            if byte == b"[":
                self._is_in_array, self._follows = True, byte
                self._at += 1
            else:
                self._begin(byte)
        elif byte == b"]" and self._follows != b",":
            self._is_in_array = False
            self._at += 1
        elif self._follows == b"value":
            if byte != b",":
                return "not valid JSON: there is no comma before it"
            self._follows = byte
            self._at += 1
        elif byte in b",:]}":
            return f"not valid JSON: a value is missing before {byte.decode()}"
        else:
            self._begin(byte)
        return None

    def _begin(self, byte: bytes) -> None:
        """Begin a value that starts with this byte."""
        self._start = self._at
        self._is_in_string = byte == b'"'
        self._depth = int(byte in b"[{")
        self._at += self._is_in_string or self._depth

    def _reach_end(self) -> bool:
        """Go on to the end of the value; False where the buffer ends before."""
        while self._at < len(self._buffer):
            if self._is_in_string:
                passed = self._pass_string()
            elif self._depth:
                passed = self._pass_structure()
            else:
                # The end of a number is what follows it.
                self._at = _end(_SCALAR, self._buffer, self._at)
                return self._at < len(self._buffer)
            if not passed:
                return False
            if not self._depth and not self._is_in_string:
                return True
        return False

    def _pass_string(self) -> bool:
        """Go past the quote that ends a string."""
        self._at = _end(_IN_STRING, self._buffer, self._at)
        if self._buffer[self._at : self._at + 1] != b'"':
            return False  # at the end of the buffer, or before its last backslash
        self._is_in_string = False
        self._at += 1
        return True

    def _pass_structure(self) -> bool:
        """Go past the next quote or bracket."""
        found = _STRUCTURE.search(self._buffer, self._at)
        if found is None:
            self._at = len(self._buffer)
            return False
        self._at = found.end()
        if found[0] == b'"':
            self._is_in_string = True
        else:
            self._depth += 1 if found[0] in b"[{" else -1
        return True

    def _taken(self) -> Line:
        """The value that ends here."""
        content = bytes(self._buffer[self._start : self._at])
        is_too_long = self._is_too_long or len(content) > self._max_bytes
        if not is_too_long and (fault := _fault_in(content)) is not None:
            return self._stop(fault)
        self._number += 1
        self._start, self._is_too_long, self._follows = None, False, b"value"
        return Line(self._number, None if is_too_long else content)

    def _stop(self, fault: str) -> Line:
        self._is_stopped = True
        self._buffer.clear()
        return Line(self._number + 1, None, f"{fault}; {_NOT_READ}")

    def _forget(self) -> None:
        """Drop what has been read from the buffer, and a value that is too long."""
        if self._start is not None and len(self._buffer) - self._start > self._max_bytes:
            self._is_too_long = True
        read = self._at if self._start is None or self._is_too_long else self._start
        del self._buffer[:read]
        self._at -= read
        if self._start is not None:
            self._start = 0


def _end(pattern: re.Pattern[bytes], buffer: bytearray, at: int) -> int:
    """Where a pattern that may match nothing ends."""
    found = pattern.match(buffer, at)
    assert found is not None
    return found.end()


def _fault_in(value: bytes) -> str | None:
    """Why the place where this value ends is not sure; None where it is.

    Numbers that are none, lone surrogates and bytes that are not UTF-8 do not move the end.
    """
    try:
        orjson.loads(value)
    except json.JSONDecodeError as error:
        try:
            json.loads(value.decode("utf-8", "replace"), strict=False)
        except (ValueError, RecursionError):
            return f"not valid JSON: {error.msg} (line {error.lineno}, column {error.colno})"
    return None
