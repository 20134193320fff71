"""An object that holds rows in a list is no row, and is told with the command that opens it."""

from typing import Any

import pytest

from app.errors import InvalidInput
from app.formats.registry import read_line

ROW = {"prompt": "x", "chosen": "a", "rejected": "b"}


@pytest.mark.parametrize(
    ("document", "path"),
    [
        ({"data": [ROW]}, ".data[]"),
        ({"version": 1, "train": [ROW, ROW]}, ".train[]"),
        ({"features": [{}], "rows": [{"row_idx": 0, "row": ROW}]}, ".rows[].row"),
    ],
)
def test_wrapped_rows_are_told(document: dict[str, Any], path: str) -> None:
    with pytest.raises(InvalidInput) as refused:
        read_line(document)
    assert f"`jq -c '{path}'`" in refused.value.detail


def test_a_row_with_a_list_of_that_name_is_a_row() -> None:
    assert read_line({"data": [{"x": 1}], **ROW}).prompt["prompt"] == "x"


@pytest.mark.parametrize("document", [{"data": []}, {"data": ["x"]}, {"data": {"x": 1}}])
def test_any_other_object_is_of_no_known_format(document: dict[str, Any]) -> None:
    with pytest.raises(InvalidInput, match="no known format"):
        read_line(document)
