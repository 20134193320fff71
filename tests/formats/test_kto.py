from typing import Any

import pytest

from app.formats.format import Preference
from app.imports.line_splitter import Line
from app.imports.lines import LineReader, read_lines
from tests.prompts.sending import as_lines


def _row(prompt: Any, completion: Any, label: Any, **more: Any) -> dict[str, Any]:
    return {"prompt": prompt, "completion": completion, "label": label, **more}


def _lines(*rows: dict[str, Any]) -> list[Line]:
    return [Line(number, as_lines([row])) for number, row in enumerate(rows, 1)]


def test_rows_of_one_prompt_that_stand_together_are_one_prompt() -> None:
    good, bad = read_lines(
        _lines(
            _row("p", "a", True),
            _row("p", "b", False),
            _row("p", "c", "False"),
            _row("q", [{"role": "assistant", "content": "d"}], 1),
            _row("q", [{"role": "assistant", "content": "e"}], 0.0),
        )
    )

    assert bad == []
    assert [(line.number, line.prompt.content) for line in good] == [(1, "p"), (4, "q")]
    assert [[each.text for each in line.prompt.responses] for line in good] == [
        ["a", "b", "c"],
        ["d", "e"],
    ]
    assert [line.preferences for line in good] == [
        [Preference((0, 1), 0), Preference((0, 2), 0)],
        [Preference((0, 1), 0)],
    ]


def test_a_prompt_may_come_in_several_batches() -> None:
    reader = LineReader()
    first, second, third = _lines(_row("p", "a", True), _row("p", "b", False), _row("q", "c", True))

    assert reader.read([first]) == ([], [])
    assert reader.read([second]) == ([], [])
    ((complete,), _), ((), (alone,)) = reader.read([third]), reader.finish()

    assert [each.text for each in complete.prompt.responses] == ["a", "b"]
    assert alone.line == 3
    assert alone.detail.startswith("completion: ")


def test_rows_of_one_text_with_other_ids_are_other_prompts() -> None:
    rows = [_row("p", "a", True, id=1), _row("p", "b", False, id=2)]

    assert [each.line for each in read_lines(_lines(*rows))[1]] == [1, 2]


def test_responses_that_are_all_alike_give_no_label() -> None:
    ((line,), _) = read_lines(_lines(_row("p", "a", True), _row("p", "b", True)))

    assert line.labels_left_out == "all of its responses are desirable, or none is"


def test_too_many_rows_of_a_prompt_are_all_refused() -> None:
    rows = [_row("p", f"a{number}", number % 2 == 0) for number in range(100)]

    good, bad = read_lines(_lines(*rows, _row("q", "a", True), _row("q", "b", False)))

    assert [line.prompt.content for line in good] == ["q"]
    assert [each.line for each in bad] == list(range(1, 101))


@pytest.mark.parametrize("label", [None, "", "good", 2, [True]])
def test_a_label_must_be_true_or_false(label: Any) -> None:
    _, (bad,) = read_lines(_lines(_row("p", "a", label)))

    assert bad.detail == "label: must be true or false"
