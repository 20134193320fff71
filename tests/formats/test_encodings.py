"""The start of a file tells its encoding, and its text comes out in UTF-8 as it is."""

from itertools import pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st

from app.errors import InvalidInput
from app.formats.encodings import encoding_of, in_utf_8, is_invalid, name_of
from app.formats.json import parse_json

ENCODINGS = ("utf-8", "utf-16-le", "utf-16-be", "utf-32-le", "utf-32-be")


def _converted(content: bytes) -> bytes:
    return b"".join(in_utf_8([content], encoding_of(content)))


@pytest.mark.parametrize("encoding", ENCODINGS)
@pytest.mark.parametrize("start", ["", "\ufeff", "\ufeff\ufeff"])
@given(st.text(), st.lists(st.integers(0, 100), max_size=5))
def test_a_text_is_the_same_in_every_encoding(
    encoding: str, start: str, text: str, cuts: list[int]
) -> None:
    whole = f'{start}{{"a": "{text}'
    content = whole.encode(encoding)
    edges = [0, *sorted(min(cut, len(content)) for cut in cuts), len(content)]
    chunks = [content[first:last] for first, last in pairwise(edges)]

    assert encoding_of(content) == encoding
    assert b"".join(in_utf_8(chunks, encoding)) == whole.encode()


@pytest.mark.parametrize("encoding", ["utf-16-le", "utf-16-be", "utf-32-le"])
def test_what_is_no_character_spoils_its_line_alone(encoding: str) -> None:
    lone = "\ud800".encode(encoding, "surrogatepass")
    content = b"".join(
        ['{"a": 1}\n{"b": "'.encode(encoding), lone, '"}\n{"c": 3}\n'.encode(encoding), b"\x01"]
    )
    first, second, third, cut_off = _converted(content).split(b"\n")

    assert [parse_json(line) for line in (first, third)] == [{"a": 1}, {"c": 3}]
    for line in (second, cut_off):
        with pytest.raises(InvalidInput, match="not UTF-8"):
            parse_json(line)
        assert is_invalid(line.decode("utf-8", "surrogatepass"))


def test_a_file_of_few_bytes_is_utf_8_unless_it_says_otherwise() -> None:
    assert [encoding_of(start) for start in (b"", b"{", b"{}", b"\xef\xbb\xbf", b"\n\n{")] == [
        "utf-8"
    ] * 5
    assert encoding_of(b"\xff\xfe") == "utf-16-le"


def test_encodings_have_the_names_that_people_know() -> None:
    assert [name_of(encoding) for encoding in ENCODINGS] == [
        *("UTF-8", "UTF-16", "UTF-16"),
        *("UTF-32", "UTF-32"),
    ]
