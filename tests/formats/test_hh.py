import pytest

from app.formats.format import Preference
from app.formats.registry import read_line
from tests.formats.reading import prompt_and_texts, refusal

_HH_START = "\n\nHuman: Hi\n\nAssistant: Hello.\n\nHuman: How are you?\n\nAssistant:"
_HH_MESSAGES = [
    {"role": "user", "content": "Hi"},
    {"role": "assistant", "content": "Hello."},
    {"role": "user", "content": "How are you?"},
]


def test_hh_transcripts_share_the_turns_before_the_last() -> None:
    line = {"chosen": _HH_START + " Fine.", "rejected": _HH_START + " Go away. "}
    assert prompt_and_texts(line) == (_HH_MESSAGES, ["Fine.", "Go away. "])
    assert read_line(line).preferences == [Preference((0, 1), 0)]


@pytest.mark.parametrize(
    "start",
    [
        "\n\nHuman: Hi\n\nHuman: Hi again\n\nAssistant:",
        "\n\nAssistant: Hello.\n\nHuman: Hi\n\nAssistant:",
        "A dialogue.\n\nHuman: Hi\n\nAssistant:",
    ],
)
def test_hh_turns_that_do_not_alternate_stay_a_string(start: str) -> None:
    content, _ = prompt_and_texts({"chosen": start + " a", "rejected": start + " b"})
    assert content == start.removesuffix("\n\nAssistant:").strip()


def test_hh_dialogues_that_diverge_before_the_last_turn_are_refused() -> None:
    other = _HH_START.replace("Hello.", "Go on.")
    detail = refusal({"chosen": _HH_START + " a", "rejected": other + " b"})
    assert detail == "chosen, rejected: the dialogues diverge before the last turn"
