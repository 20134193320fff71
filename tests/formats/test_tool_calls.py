from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from app.formats.tool_calls import (
    arguments_of,
    exact,
    is_nested_within,
    is_same,
    render_response,
    said,
)


def call(name: str, arguments: Any, **more: Any) -> dict[str, Any]:
    return {"function": {"name": name, "arguments": arguments}, **more}


PARIS = call("get_weather", {"city": "Paris", "days": 3}, id="call_1", type="function")


def test_a_response_without_calls_is_its_text() -> None:
    assert exact(" a ", None) == " a "
    assert said(" a ", None) == "a"
    assert said(" a ", []) == "a"
    assert render_response(" a ", None) == " a "


def test_only_calls_say_something_too() -> None:
    assert said(" \n", [PARIS]) != ""
    assert said("", [PARIS]) != said("", [call("get_weather", {"city": "Rome", "days": 3})])
    assert said("", [PARIS]) != said("Let me look.", [PARIS])
    assert said("", [PARIS, PARIS]) != said("", [PARIS])


def test_ids_the_order_of_keys_and_the_form_of_arguments_say_nothing() -> None:
    for other in (
        call("get_weather", {"days": 3, "city": "Paris"}, id="call_2"),
        call("get_weather", '{"days": 3.0, "city": "Paris"}'),
    ):
        assert said("a ", [PARIS]) == said("a", [other])
        assert exact("a", [PARIS]) != exact("a", [other])


def test_arguments_that_are_no_object_are_compared_as_they_were_written() -> None:
    large = ['{"x": 123456789012345678901}', '{"x": 123456789012345678902}']
    deep = '{"x": ' * 80 + "1" + "}" * 80
    written = ['{"city": "Paris"', "", "[1]", "3", "[" * 2000, '{"x": "\\ud800"}', deep, *large]
    assert len({said("", [call("f", arguments)]) for arguments in written}) == len(written)
    assert [arguments_of(call("f", arguments)) for arguments in written] == written


def test_true_is_not_one() -> None:
    assert not is_same([{"x": True}], [{"x": 1}])
    assert not is_same({"x": 1}, {"x": 2})
    assert is_same([{"x": 1e16, "y": -0.0}], [{"y": 0, "x": 10**16}])
    # What jsonb makes of 3.361161314042891e+16; as a float it is 33611613140428908.
    assert is_same([{"x": 3.361161314042891e16}], [{"x": 33611613140428910}])
    assert said("", [call("f", {"x": True})]) != said("", [call("f", {"x": 1})])


def test_calls_are_read_below_the_text_with_names_and_arguments() -> None:
    nested = call("plan", '{"stops": ["Köln", {"b": 1, "a": null}]}')
    broken = call("plan", '{"stops": [')
    assert render_response("Let me look.", [PARIS, nested, broken]) == (
        "Let me look.\n"
        'get_weather({"city": "Paris", "days": 3})\n'
        'plan({"stops": ["Köln", {"a": null, "b": 1}]})\n'
        'plan({"stops": [)'
    )
    assert render_response("", [PARIS]) == 'get_weather({"city": "Paris", "days": 3})'


json_values = st.recursive(
    st.none() | st.booleans() | st.integers(-(2**63), 2**63 - 1) | st.floats(-1e18, 1e18)
    | st.text(st.characters(exclude_categories=["Cs"])),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text("ab"), inner, max_size=3),
    max_leaves=8,
)  # fmt: skip


def _reordered(value: Any) -> Any:
    if isinstance(value, dict):
        return {key: _reordered(value[key]) for key in reversed(value)}
    return [_reordered(item) for item in value] if isinstance(value, list) else value


@given(st.dictionaries(st.text("abc"), json_values, max_size=4))
def test_what_the_database_may_change_changes_nothing(arguments: dict[str, Any]) -> None:
    one, other = call("f", arguments), call("f", _reordered(arguments))
    assert exact("a", [one]) == exact("a", [other])
    assert said("a", [one]) == said("a", [other])
    assert render_response("a", [one]) == render_response("a", [other])
    assert is_same([one], [other])


@pytest.mark.parametrize("depth", [1, 2, 64, 5000])
def test_the_depth_counts_lists_and_objects(depth: int) -> None:
    nested: Any = "x"
    for number in range(depth):
        nested = [nested] if number % 2 else {"x": nested, "y": 1}
    assert is_nested_within(nested, depth)
    assert not is_nested_within(nested, depth - 1)
