from itertools import pairwise

from hypothesis import given
from hypothesis import strategies as st

from app.imports.line_splitter import Line, LineSplitter

_CONTENT = st.binary(max_size=6) | st.sampled_from([b"", b"\r", b"\r\n", b"a\r\rb"])


def _split(*chunks: bytes, max_bytes: int = 100) -> list[Line]:
    splitter = LineSplitter(max_bytes)
    lines = [line for chunk in chunks for line in splitter.feed(chunk)]
    return [*lines, *splitter.finish()]


def test_blank_lines_are_counted_and_left_out() -> None:
    lines = _split(b"a\n\n \r\n\tb\r\n")
    assert lines == [Line(1, b"a"), Line(4, b"\tb")]


def test_the_last_line_needs_no_line_feed() -> None:
    assert _split(b"a\nb") == [Line(1, b"a"), Line(2, b"b")]
    assert _split() == []


def test_byte_order_marks_before_a_line_are_left_out() -> None:
    mark = b"\xef\xbb\xbf"
    assert _split(mark[:1], mark[1:] + mark + b"a\n" + mark + b"b" + mark + b"\n" + mark) == [
        Line(1, b"a"),
        Line(2, b"b" + mark),
    ]


def test_a_line_ends_with_a_line_feed_a_carriage_return_or_both() -> None:
    assert _split(b"a\rb\r", b"\n", b"c\r", b"\r\n", b"d\n\re") == [
        Line(1, b"a"),
        Line(2, b"b"),
        Line(3, b"c"),
        Line(5, b"d"),
        Line(7, b"e"),
    ]


def test_a_line_separator_of_unicode_ends_no_line() -> None:
    content = '{"a": "x\u2028y\u0085z\u2029"}'.encode()
    assert _split(content) == [Line(1, content)]


def test_a_line_too_long_is_told_and_the_next_is_read() -> None:
    lines = _split(b"1234", b"5678", b"\nab\n123456", max_bytes=5)
    assert lines == [Line(1, None), Line(2, b"ab"), Line(3, None)]


def test_a_line_too_long_is_not_kept() -> None:
    splitter = LineSplitter(1000)
    for _ in range(1000):
        assert not list(splitter.feed(b"x" * 999))
        assert sum(map(len, splitter._pieces)) <= 1000


@given(st.lists(_CONTENT, max_size=8), st.lists(st.integers(0, 40), max_size=5))
def test_lines_are_the_same_however_the_stream_is_cut(
    contents: list[bytes], cuts: list[int]
) -> None:
    whole = b"\n".join(contents)
    edges = [0, *sorted(min(cut, len(whole)) for cut in cuts), len(whole)]
    chunks = [whole[start:end] for start, end in pairwise(edges)]
    assert _split(*chunks, max_bytes=4) == _split(whole, max_bytes=4)
