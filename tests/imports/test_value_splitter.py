"""An array over any number of chunks gives its elements, byte for byte, or what is wrong."""

import json
from itertools import pairwise
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from app.imports.line_splitter import Line
from app.imports.value_splitter import ValueSplitter

_MARK = b"\xef\xbb\xbf"
_VALUES = st.recursive(
    st.none() | st.booleans() | st.integers() | st.text('ab"\\[]{},:\n é', max_size=5),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=3), inner),
    max_leaves=8,
)


def _split(*chunks: bytes, max_bytes: int = 1000) -> list[Line]:
    splitter = ValueSplitter(max_bytes)
    lines = [line for chunk in chunks for line in splitter.feed(chunk)]
    return [*lines, *splitter.finish()]


def _cut(whole: bytes, cuts: list[int]) -> list[bytes]:
    edges = [0, *sorted(min(cut, len(whole)) for cut in cuts), len(whole)]
    return [whole[start:end] for start, end in pairwise(edges)]


@given(
    st.lists(_VALUES, max_size=5),
    st.sampled_from([None, 0, 2]),
    st.booleans(),
    st.lists(st.integers(0, 120), max_size=6),
)
def test_an_array_gives_its_elements_however_the_stream_is_cut(
    values: list[Any], indent: int | None, ascii_only: bool, cuts: list[int]
) -> None:
    whole = json.dumps(values, indent=indent, ensure_ascii=ascii_only).encode()
    lines = _split(*_cut(whole, cuts))
    assert [line.number for line in lines] == list(range(1, len(values) + 1))
    assert [json.loads(line.content or b"") for line in lines] == values


@given(st.binary(max_size=30) | st.text('[]{}",:\\ 1a', max_size=30), st.lists(st.integers(0, 30)))
def test_anything_gives_the_same_however_it_is_cut(whole: bytes | str, cuts: list[int]) -> None:
    content = whole if isinstance(whole, bytes) else whole.encode()
    assert _split(*_cut(content, cuts)) == _split(content)


def test_values_are_given_byte_for_byte() -> None:
    assert _split(b'[ {"a" :\r\n1.0} ,12345678901234567890123, "\\u0041" ]') == [
        Line(1, b'{"a" :\r\n1.0}'),
        Line(2, b"12345678901234567890123"),
        Line(3, b'"\\u0041"'),
    ]


def test_documents_may_follow_each_other_and_begin_with_marks() -> None:
    content = _MARK + b'{"a":\n1}\n' + _MARK * 2 + b'{"b": 2}{"c": 3} 4'
    assert [line.content for line in _split(content)] == [
        b'{"a":\n1}',
        b'{"b": 2}',
        b'{"c": 3}',
        b"4",
    ]
    joined = b"[1, 2]\n" + _MARK + b"[3]\n[]"
    assert [line.content for line in _split(*_cut(joined, [8, 9, 10]))] == [b"1", b"2", b"3"]


@pytest.mark.parametrize(
    ("content", "number", "words"),
    [
        (b'[{"a": 1}, {"b": ', 2, "has no end"),
        (b'[{"a": 1}, "text', 2, "has no end"),
        (b'[{"a": 1}, 12', 2, "has no end"),
        (b'[{"a": 1}', 2, "the array has no end"),
        (b'[{"a": 1},', 2, "the array has no end"),
        (b'[{"a": 1} {"b": 2}]', 2, "no comma"),
        (b'[{"a": 1}, ]', 2, "missing before ]"),
        (b'[{"a": 1},, {"b": 2}]', 2, "missing before ,"),
        (b'[{"a": 1}] ]', 2, "] stands before any value"),
        (b'[{"a": 1}, {"b" 2}, {"c": 3}]', 2, "not valid JSON"),
        (b'[{"a": 1}, {"b": [2}, {"c": 3}]', 2, "not valid JSON"),
        (b'[{"a": 1}, {"b": "not" closed"}, {"c": "x"}]', 2, "a quote is not closed"),
        (b'[{"a": 1}, word, {"c": 3}]', 2, "not valid JSON"),
        (b'[{"a": 1}, ' + b"[" * 3000 + b"1" + b"]" * 3000 + b", 2]", 2, "not valid JSON"),
    ],
)
def test_what_is_broken_is_told_and_nothing_after_it_is_read(
    content: bytes, number: int, words: str
) -> None:
    first, fault = _split(content, max_bytes=10_000)
    assert first == Line(1, b'{"a": 1}')
    assert (fault.number, fault.content) == (number, None)
    assert fault.fault is not None
    assert words in fault.fault
    assert fault.fault.endswith("what follows it was not read")


@pytest.mark.parametrize("bad", [b"NaN", b'"\\ud800"', b'"\xe9"', b'{"a": "\xff"}'])
def test_a_value_that_is_not_strict_json_but_has_a_sure_end_is_passed_on(bad: bytes) -> None:
    assert _split(b"[1, " + bad + b", 3]") == [Line(1, b"1"), Line(2, bad), Line(3, b"3")]


def test_a_value_over_the_limit_is_told_and_the_next_is_read() -> None:
    long = b'{"a": "' + b"x" * 20 + b'"}'
    for chunks in ([b"[" + long + b", 2]"], _cut(b"[" + long + b", 2]", list(range(40)))):
        assert _split(*chunks, max_bytes=10) == [Line(1, None), Line(2, b"2")]


def test_a_value_over_the_limit_is_not_kept() -> None:
    splitter = ValueSplitter(1000)
    lines = list(splitter.feed(b'["'))
    for _ in range(1000):
        lines += splitter.feed(b'x\\"' * 300)
        assert len(splitter._buffer) <= 2000
    lines += [*splitter.feed(b'", 1]'), *splitter.finish()]
    assert lines == [Line(1, None), Line(2, b"1")]
