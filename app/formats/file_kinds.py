"""Files that are not text, told by their first bytes. Pure."""

import re
from typing import Final

GZIP: Final = "gzip"
PARQUET: Final = "a Parquet file"
START_BYTES: Final = 16
"""How much of a file ``other_kind`` looks at."""

_KINDS: Final = (
    (re.compile(rb"\x1f\x8b"), GZIP),
    (re.compile(rb"PAR1"), PARQUET),
    (re.compile(rb"PK\x03\x04"), "a zip archive or an Excel workbook"),
    (re.compile(rb"\xd0\xcf\x11\xe0\xa1\xb1\x1a\xe1"), "an old Excel workbook"),
    (re.compile(rb"BZh[1-9](?:1AY&SY|\x17\x72\x45\x38\x50\x90)"), "bzip2"),
    (re.compile(rb"\xfd7zXZ\x00"), "xz"),
    (re.compile(rb"\x28\xb5\x2f\xfd"), "zstd"),
    (re.compile(rb"\x04\x22\x4d\x18"), "lz4"),
    (re.compile(rb"7z\xbc\xaf\x27\x1c"), "a 7z archive"),
    (re.compile(rb"ARROW1\x00\x00"), "an Arrow file"),
    (re.compile(rb"Obj\x01"), "an Avro file"),
)


def other_kind(start: bytes) -> str | None:
    """What a file with this start is; None where it may be text."""
    return next((kind for pattern, kind in _KINDS if pattern.match(start)), None)
