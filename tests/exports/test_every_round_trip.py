"""What goes out in any format that `import` reads comes back as it was, whatever the texts hold."""

import json
from collections.abc import Iterator
from dataclasses import replace
from typing import Any

import pytest
from hypothesis import assume, given
from hypothesis import strategies as st

from app.exports.aggregate import Answer
from app.exports.pairs import Candidate, PreferredPair
from app.exports.recipe import Layout, PairRecipe, messages
from app.exports.recipes import RECIPES
from app.formats.transcripts import read_rendered
from app.imports.line_splitter import Line
from app.imports.lines import GoodLine, read_lines
from tests.exports.preferred import judged_prompt, preferred_pair

_PIECES = [
    "\n\nHuman: ", "\n\nAssistant: ", "User: ", "\nAssistant: ", "<|im_start|>user\n", "<|im_end|>",
    "[INST] ", " [/INST] ", "<|prompter|>", "<|assistant|>", "</s>", "### Response:\n", "user: ",
    "\n\nuser: ", "\n\nassistant: ", "\n\nassistant:", "\n\n\\user:", "\\", "\r\n", "\n", "    ",
    "\t", "[\"q\"]", "{\"role\": 1}", "a", "def f():", "é🙂", "\u2028", "1.0", "null",
]  # fmt: skip
_TEXTS = st.lists(st.sampled_from(_PIECES), min_size=1, max_size=6).map("".join).filter(str.strip)
_CHATS = st.builds(
    lambda system, exchanges, last: [
        *({"role": "system", "content": text} for text in system),
        *(
            {"role": role, "content": text}
            for exchange in exchanges
            for role, text in zip(("user", "assistant"), exchange, strict=True)
        ),
        {"role": "user", "content": last},
    ],
    st.lists(_TEXTS, max_size=1),
    st.lists(st.tuples(_TEXTS, _TEXTS), max_size=2),
    _TEXTS,
)
_PROMPTS = st.one_of(_TEXTS.filter(lambda text: read_rendered(text) is None), _CHATS)


@st.composite
def _preferred(draw: st.DrawFn) -> PreferredPair:
    """A pair whose second response is preferred."""
    prompt = draw(_PROMPTS)
    better, worse = draw(_TEXTS), draw(_TEXTS)
    assume(better.strip() != worse.strip())
    # An answer that is a transcript of the prompt, or begins with it, is told or cut: see below.
    turns = [turn["content"].strip() for turn in messages(prompt)]
    assume(not any(turn in text for turn in turns for text in (better, worse)))
    plain = preferred_pair()
    pair = replace(
        plain.pair,
        prompt=prompt,
        prompt_external_id=draw(st.sampled_from([None, "p-1"])),
        first=Candidate(1, None, worse),
        second=Candidate(2, None, better),
        answers=(Answer(2, None),),
    )
    return PreferredPair(pair, replace(plain.preference, preferred_response_id=2))


def _exported(recipe: str, preferred: PreferredPair, layout: Layout) -> Iterator[Line]:
    found = RECIPES[recipe]
    subject: Any = preferred
    if not isinstance(found, PairRecipe):
        subject = replace(judged_prompt(preferred), rewards={1: -1.0, 2: 1.0})
    for number, row in enumerate(found.rows(subject, layout), start=1):
        yield Line(number, json.dumps(row).encode())


def _back(recipe: str, preferred: PreferredPair, layout: Layout) -> GoodLine:
    good, bad = read_lines(list(_exported(recipe, preferred, layout)))
    assert bad == []
    (line,) = good
    return line


def _judgement(line: GoodLine) -> tuple[str, str]:
    """The better and the worse text."""
    texts = [each.text for each in line.prompt.responses]
    (preference,) = line.preferences
    assert preference.preferred is not None
    return texts[preference.preferred], texts[1 - preference.preferred]


@pytest.mark.parametrize("recipe", ["dpo", "reward", "openrlhf", "kto"])
@pytest.mark.parametrize("layout", Layout)
@given(preferred=_preferred())
def test_pairs_come_back_as_they_went_out(
    recipe: str, layout: Layout, preferred: PreferredPair
) -> None:
    line = _back(recipe, preferred, layout)

    prompt = preferred.pair.prompt
    # In messages, a string is one user's turn.
    expected = prompt if layout is Layout.STANDARD else messages(prompt)
    assert line.prompt.content == expected
    assert _judgement(line) == (preferred.chosen.text, preferred.rejected.text)


@given(preferred=_preferred())
def test_rankings_come_back_as_they_went_out(preferred: PreferredPair) -> None:
    line = _back("ranking", preferred, Layout.STANDARD)

    assert line.prompt.content == preferred.pair.prompt
    assert line.prompt.external_id == preferred.pair.prompt_external_id
    assert _judgement(line) == (preferred.chosen.text, preferred.rejected.text)


@given(preferred=_preferred())
def test_axolotls_rows_come_back_but_for_the_space_around_answers(
    preferred: PreferredPair,
) -> None:
    line = _back("axolotl", preferred, Layout.STANDARD)

    assert line.prompt.content == messages(preferred.pair.prompt)
    assert _judgement(line) == (preferred.chosen.text.strip(), preferred.rejected.text.strip())


@given(preferred=_preferred())
def test_llama_factorys_rows_come_back_as_they_went_out(preferred: PreferredPair) -> None:
    line = _back("llama-factory", preferred, Layout.STANDARD)

    assert line.prompt.content == messages(preferred.pair.prompt)
    assert _judgement(line) == (preferred.chosen.text, preferred.rejected.text)
