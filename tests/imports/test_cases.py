"""Lines that users of such tools met: each is read as it was meant, or refused in plain words."""

from pathlib import Path
from typing import Any

import pytest

from app.formats.format import Preference
from app.imports.files.sources import json_source, opened
from app.imports.line_splitter import LineSplitter
from app.imports.lines import GoodLine, read_lines
from app.imports.schemas import RejectedLine

_CASES = Path(__file__).parent.parent / "data" / "cases"


def _read(name: str) -> tuple[list[GoodLine], list[RejectedLine]]:
    splitter = LineSplitter(max_bytes=1_000_000)
    content = next(_CASES.glob(f"{name}-*")).read_bytes()
    return read_lines([*splitter.feed(content), *splitter.finish()])


_GOOD: dict[str, tuple[Any, list[str], list[Preference]]] = {
    "F01": ("q", ["BAD", "GOOD"], [Preference((1, 0), 1, "1")]),
    "F03": (
        [{"role": "system", "content": "be a pirate"}, {"role": "user", "content": "q"}],
        ["x", "y"],
        [Preference((0, 1), 0, "u1")],
    ),
    "F04": (
        "Name a planet.",
        ["The planet is Mars.", "The planet is Pluto."],
        [Preference((0, 1), 0)],
    ),
    "F05": ("Translate to English\n\ngato", ["cat", "dog"], [Preference((0, 1), 0)]),
    "F06": (
        [
            {"role": "system", "content": "Talk like a pirate"},
            {"role": "user", "content": "hello"},
        ],
        ["arr", "hi"],
        [Preference((0, 1), 0)],
    ),
    "F12": ("q", ["a", "b"], [Preference((0, 1), 0, "ana", strength=3)]),
    "F15": ("hi", ["hello", "go away"], [Preference((0, 1), 0)]),
    "F16": (
        [{"role": "user", "content": "Name a planet"}],
        ["The planet is Mars", "The planet is Pluto"],
        [Preference((0, 1), 0)],
    ),
    "F18": ("q", ["good", "bad"], [Preference((0, 1), 0)]),
    "F20": ("q", ["x", "y"], [Preference((0, 1), 0)]),
    "F21": ("q", ["a", "c"], []),
    "F22": ("q", ["a", "b"], []),
}


@pytest.mark.parametrize("name", _GOOD)
def test_a_line_is_read_as_it_was_meant(name: str) -> None:
    (line,), bad = _read(name)

    content, texts, preferences = _GOOD[name]
    assert bad == []
    assert line.prompt.content == content
    assert [each.text for each in line.prompt.responses] == texts
    assert line.preferences == preferences
    assert line.left_out == ()


def test_images_are_refused() -> None:
    assert _read("F08") == (
        [],
        [
            RejectedLine(
                line=1,
                detail="images: cannot be used here, and leaving it out would change the line"
                " (this service shows text only)",
            )
        ],
    )


def test_ids_are_kept() -> None:
    for name, kept in (("F12", "row-1"), ("F20", "30192"), ("F22", "5")):
        (line,), _ = _read(name)
        assert line.prompt.external_id == kept


def test_an_empty_completion_is_dropped_and_told() -> None:
    (line,), _ = _read("F21")

    assert [each.reason for each in line.prompt.kept.dropped] == ["empty"]
    assert line.labels_left_out == "a model's ratings are no preferences"


def test_rankings_come_back_with_roles_indentation_and_markers() -> None:
    (indented, marked), bad = _read("F24")

    assert bad == []
    assert indented.prompt.content == [
        {"role": "system", "content": "be terse"},
        {"role": "user", "content": "  def f():\n    pass\n"},
    ]
    assert [each.text for each in indented.prompt.responses] == ["  x = 1\n", "y"]
    assert marked.prompt.content == "what does <|assistant|> mean?"
    assert [each.text for each in marked.prompt.responses] == ["a token", "nothing"]


def test_tool_calls_and_tools_are_kept_whole() -> None:
    (line,), bad = _read("F10")

    assert bad == []
    assert isinstance(line.prompt.content, list)
    asked, called, found, last = line.prompt.content
    assert asked == {"role": "user", "content": "Weather?"}
    assert called == {
        "role": "assistant",
        "content": "",
        "tool_calls": [{"function": {"name": "w", "arguments": '{"c":"Oslo"}'}}],
    }
    assert found == {"role": "tool", "content": "3"}
    assert last == {"role": "user", "content": "tomorrow?"}
    assert line.prompt.tools == [{"type": "function", "function": {"name": "w"}}]
    assert [each.text for each in line.prompt.responses] == ["good", "bad"]


def test_both_directions_are_two_lines_of_one_prompt() -> None:
    (one, other), bad = _read("F13")

    assert bad == []
    assert one.prompt.content == other.prompt.content == "Name a planet"
    assert [each.text for each in one.prompt.responses] == ["Mars", "Pluto"]
    assert [each.text for each in other.prompt.responses] == ["Pluto", "Mars"]


def test_a_byte_order_mark_where_files_were_joined_is_skipped() -> None:
    good, bad = _read("F28")

    assert bad == []
    assert [line.prompt.content for line in good] == ["q", "q2"]


def test_a_row_that_is_longer_than_its_header_is_refused_by_its_line() -> None:
    path = next(_CASES.glob("F26-*"))
    with opened(path) as (file, _):
        source = json_source(file, path)
        assert b"".join(source).strip() == b""

    assert [each.line for each in source.refused.told] == [2]


def test_parquet_text_without_its_mark_is_text() -> None:
    path = next(_CASES.glob("F30-*"))
    splitter = LineSplitter(max_bytes=1_000_000)
    with opened(path) as (file, _):
        content = b"".join(json_source(file, path))
    (line,), bad = read_lines([*splitter.feed(content), *splitter.finish()])

    assert bad == []
    assert line.prompt.content == "q"
