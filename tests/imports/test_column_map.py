"""Columns read by other names than their own."""

from typing import Any

import pytest

from app.errors import InvalidInput
from app.formats.column_map import renamed


@pytest.mark.parametrize(
    ("line", "columns", "read_as", "ignored"),
    [
        ({"q": "?", "a": "x"}, {"q": "prompt"}, {"prompt": "?", "a": "x"}, []),
        (
            {"q": "?", "b": "2", "a": "1"},
            {"q": "prompt", "a": "response", "b": "response"},
            {"prompt": "?", "responses": [{"text": "1"}, {"text": "2"}]},
            [],
        ),
        (
            {"a": {"text": "1", "model": "m"}, "b": None},
            {"a": "response", "b": "response"},
            {"responses": [{"text": "1", "model": "m"}, {"text": ""}]},
            [],
        ),
        ({"p": 1, "system": "s"}, {"system": "ignore"}, {"p": 1}, ["system"]),
        (
            {"metadata": {"a": 1}, "topic": "t"},
            {"topic": "metadata"},
            {"metadata": {"a": 1, "topic": "t"}},
            [],
        ),
        ({"ignore": 1, "metadata": 2, "response": 3}, {"x": "prompt"}, None, []),
        ({"a": 1, "b": 2}, {"a": "b", "b": "a"}, {"b": 1, "a": 2}, []),
        ([1, 2], {"a": "b"}, None, []),
    ],
)
def test_columns_are_read_by_the_names_given(
    line: Any, columns: dict[str, str], read_as: Any, ignored: list[str]
) -> None:
    assert renamed(line, columns) == (line if read_as is None else read_as, ignored)


@pytest.mark.parametrize(
    ("line", "columns"),
    [
        ({"q": 1, "prompt": 2}, {"q": "prompt"}),
        ({"a": 1, "b": 2}, {"a": "prompt", "b": "prompt"}),
        ({"a": "x", "responses": []}, {"a": "response"}),
        ({"a": "x", "metadata": {"a": 1}}, {"a": "metadata"}),
        ({"a": "x", "metadata": "text"}, {"a": "metadata"}),
    ],
)
def test_two_columns_never_become_one(line: dict[str, Any], columns: dict[str, str]) -> None:
    with pytest.raises(InvalidInput, match="two columns have this name"):
        renamed(line, columns)
