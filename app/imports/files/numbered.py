"""Write rows as JSON lines that keep the numbers they have in their file."""

from collections.abc import Iterable, Iterator
from typing import Any, Final

import orjson

_CHUNK_BYTES: Final = 256 * 1024


def numbered_lines(rows: Iterable[tuple[int, dict[str, Any]]]) -> Iterator[bytes]:
    """Chunks of JSON lines, each the line of its row's number. Numbers rise, from 1.

    The lines between are blank: the service counts them, so that it tells of a line by the number
    that the row has in the file.
    """
    chunk: list[bytes] = []
    size = written = 0
    for number, row in rows:
        line = b"\n" * (number - 1 - written) + orjson.dumps(row, option=orjson.OPT_APPEND_NEWLINE)
        written = number
        chunk.append(line)
        size += len(line)
        if size >= _CHUNK_BYTES:
            yield b"".join(chunk)
            chunk, size = [], 0
    if chunk:
        yield b"".join(chunk)
