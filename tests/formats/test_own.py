from app.formats.registry import read_line
from tests.formats.reading import refusal
from tests.prompts.sending import prompt


def test_own_form_is_taken_as_it_is() -> None:
    sent = prompt("a", "b", id="p", metadata={"k": 1})
    assert read_line(sent).prompt is sent


def test_own_form_with_an_unknown_key_is_refused() -> None:
    assert refusal({**prompt(), "promt": "x"}).startswith("promt: ")
