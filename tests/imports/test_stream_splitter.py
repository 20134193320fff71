"""The start of a stream tells whether it is JSON lines, an array, or something else."""

import json
from itertools import pairwise
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from app.errors import UnsupportedMedia
from app.imports.line_splitter import Line
from app.imports.stream_splitter import StreamSplitter

_ROWS: list[Any] = [{"prompt": "x" * number, "n": number} for number in range(40)]


def _split(*chunks: bytes, is_document: bool = False) -> list[Line]:
    splitter = StreamSplitter(10_000, is_document=is_document)
    lines = [line for chunk in chunks for line in splitter.feed(chunk)]
    return [*lines, *splitter.finish()]


@pytest.mark.parametrize(
    "content",
    [
        "\n".join(map(json.dumps, _ROWS)),
        "\r\n".join(map(json.dumps, _ROWS)),
        "\r".join(map(json.dumps, _ROWS)),
        json.dumps(_ROWS),
        json.dumps(_ROWS, indent=4),
        "\n".join(json.dumps(row, indent=2) for row in _ROWS),
        "\ufeff" + json.dumps(_ROWS, indent=2).replace("\n", "\r\n"),
    ],
)
@given(st.lists(st.integers(0, 4000), max_size=8))
def test_lines_arrays_and_documents_give_the_same_rows(content: str, cuts: list[int]) -> None:
    whole = content.encode()
    edges = [0, *sorted(min(cut, len(whole)) for cut in cuts), len(whole)]
    lines = _split(*(whole[start:end] for start, end in pairwise(edges)))
    assert [json.loads(line.content or b"") for line in lines] == _ROWS
    assert [line.number for line in lines] == list(range(1, 41))


def test_a_document_is_one_value_however_it_is_written() -> None:
    content = b'{"prompt": "x",\n "n": 1}'
    assert _split(content, is_document=True) == [Line(1, content)]
    assert [line.number for line in _split(content)] == [1, 2]


def test_blank_lines_before_the_first_are_counted() -> None:
    assert _split(b"\n" * 100_000, b'{"a": 1}') == [Line(100_001, b'{"a": 1}')]
    assert _split(b"\n\n \n") == []
    assert _split() == []


@pytest.mark.parametrize(
    ("start", "kind"),
    [
        (b"\x1f\x8b\x08\x00", "gzip"),
        (b"BZh91AY&SY", "bzip2"),
        (b"\xfd7zXZ\x00", "xz"),
        (b"\x28\xb5\x2f\xfd", "zstd"),
        (b"PK\x03\x04", "zip"),
        (b"PAR1\x15", "Parquet"),
        ('{"a": 1}'.encode("utf-16"), "UTF-16"),
        ("\n[".encode("utf-16-le"), "UTF-16"),
        ('["a"]'.encode("utf-16-be"), "UTF-16"),
        ("\ufeff[".encode("utf-16-be"), "UTF-16"),
        ('{"a": 1}'.encode("utf-32"), "UTF-32"),
        ('{"a": 1}'.encode("utf-32-be"), "UTF-32"),
    ],
)
def test_another_kind_of_file_is_refused_by_its_name(start: bytes, kind: str) -> None:
    with pytest.raises(UnsupportedMedia, match=kind):
        _split(start)
