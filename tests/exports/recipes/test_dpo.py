import pytest

from app.exports.recipe import Layout
from app.exports.recipes.dpo import RECIPE
from tests.exports.preferred import preferred_pair

CHAT = [
    {"role": "system", "content": "Be brief."},
    {"role": "user", "content": "Hello"},
    {"role": "assistant", "content": "Hi"},
    {"role": "user", "content": "Explain DPO."},
]


@pytest.mark.parametrize(
    ("prefers_first", "chosen", "rejected"),
    [
        (True, "the first text", "the second text"),
        (False, "the second text", "the first text"),
    ],
)
def test_the_preferred_response_is_chosen_whichever_of_the_pair_it_is(
    prefers_first: bool, chosen: str, rejected: str
) -> None:
    rows = list(RECIPE.rows(preferred_pair(prefers_first=prefers_first), Layout.STANDARD))

    assert [{"prompt": "Explain DPO.", "chosen": chosen, "rejected": rejected}] == rows


def test_a_chat_is_rendered_as_its_turns_and_the_assistants_cue_in_the_standard_layout() -> None:
    (row,) = RECIPE.rows(preferred_pair(CHAT), Layout.STANDARD)

    assert row["prompt"] == (
        "system: Be brief.\n\nuser: Hello\n\nassistant: Hi\n\nuser: Explain DPO.\n\nassistant:"
    )


@pytest.mark.parametrize(
    ("prompt", "turns"),
    [("Explain DPO.", [{"role": "user", "content": "Explain DPO."}]), (CHAT, CHAT)],
)
def test_everything_is_a_list_of_messages_in_the_conversational_layout(
    prompt: object, turns: list[dict[str, str]]
) -> None:
    (row,) = RECIPE.rows(preferred_pair(prompt), Layout.CONVERSATIONAL)

    assert {
        "prompt": turns,
        "chosen": [{"role": "assistant", "content": "the second text"}],
        "rejected": [{"role": "assistant", "content": "the first text"}],
    } == row
