import json
from typing import Any

from hypothesis import given
from hypothesis import strategies as st

from app.exports.encoding import JsonLines
from app.exports.recipe import Layout
from tests.exports.files import EVERY_KIND, TURNS, standard_row

texts = st.text(alphabet=st.characters(exclude_categories=["Cs"]))


def _encode(rows: list[dict[str, Any]]) -> bytes:
    encoder = JsonLines(TURNS, Layout.STANDARD)
    return encoder.encode(rows) + encoder.finish()


@given(st.lists(st.fixed_dictionaries({"prompt": texts, "chosen": texts})))
def test_any_text_comes_back_from_one_line_a_row_however_lines_are_split(
    rows: list[dict[str, Any]],
) -> None:
    lines = _encode(rows).decode().splitlines()

    assert rows == [json.loads(line) for line in lines]


def test_keys_stand_in_the_order_of_the_columns() -> None:
    row = dict(reversed(standard_row(1).items()))
    line = JsonLines(EVERY_KIND, Layout.STANDARD).encode([row])

    assert list(EVERY_KIND) == list(json.loads(line))


def test_text_is_utf8_and_not_escaped() -> None:
    row = {"prompt": "שלום 👩‍🚀", "chosen": "né"}

    assert '{"prompt":"שלום 👩‍🚀","chosen":"né"}\n'.encode() == _encode([row])
