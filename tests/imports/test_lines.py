import pytest

from app.formats.format import Preference
from app.imports.line_splitter import Line
from app.imports.lines import read_lines
from tests.prompts.sending import as_lines


def _vote(a: str, b: str, winner: str) -> dict[str, str]:
    return {"a": a, "b": b, "winner": winner, "annotator": "ana"}


def test_votes_on_a_repeated_text_go_to_its_first() -> None:
    votes = [_vote("r1", "r2", "b"), _vote("r0", "r2", "a"), _vote("r0", "r3", "a")]
    responses = [{"id": f"r{n}", "text": text} for n, text in enumerate(("a", "b", "a ", ""))]
    line = {"prompt": "x", "responses": responses, "preferences": votes}

    (read,), _ = read_lines([Line(1, as_lines([line]))])
    # r2 is r0 again: the first vote is on b and a, the second on a and itself; r3 is empty.
    assert read.preferences == [Preference((1, 0), 0, "ana")]


@pytest.mark.parametrize(
    "content",
    [
        b'{"prompt": "x", ',
        b"[" * 10_000,
        b"\xff\xfe",
        b'{"prompt": "\\ud800", "chosen": "a", "rejected": "b"}',
        b'{"prompt": "x", "chosen": "\\u0000", "rejected": "b"}',
        b'{"prompt": "x", "chosen": "a", "rejected": "b", "more": {"deep": ["\\u0000"]}}',
        b'{"prompt": "x", "chosen": "a", "rejected": "b", "more": NaN}',
        b"[" * 1000 + b'"\\u0000"' + b"]" * 1000,
    ],
)
def test_a_line_that_is_no_json_is_refused(content: bytes) -> None:
    good, (bad,) = read_lines([Line(7, content)])
    assert not good
    assert bad.line == 7


@pytest.mark.parametrize(
    ("content", "detail"),
    [
        (b'{"prompt": "x", "chosen": "a", "rejected": "b", "chosen": "c"}', "chosen: stands twice"),
        (b'{"prompt" : "x", "responses": [{"text": "a", "text":"b"}]}', "text: stands twice"),
    ],
)
def test_a_key_that_stands_twice_is_refused(content: bytes, detail: str) -> None:
    _, (bad,) = read_lines([Line(1, content)])
    assert bad.detail.startswith(detail)


def test_quotes_and_colons_within_texts_are_text() -> None:
    line = {"prompt": '{"a": 1, "a": 2}', "chosen": '":"', "rejected": "b"}
    (read,), _ = read_lines([Line(1, as_lines([line]))])
    assert read.prompt.content == '{"a": 1, "a": 2}'


def test_a_character_that_cannot_be_stored_is_told_with_its_field() -> None:
    content = b'{"prompt": "x", "chosen": "a\\u0000", "rejected": "b"}'
    _, (bad,) = read_lines([Line(1, content)])
    assert bad.detail == "chosen: holds a NUL character"
