"""Whatever a line holds, it is refused, or every text of a known column is stored byte for byte."""

import json
from collections.abc import Iterator
from typing import Any

from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from app.formats.asked import PROMPTS
from app.formats.transcripts import read_rendered, read_transcript
from app.imports.line_splitter import Line
from app.imports.lines import GoodLine, read_lines

_MARKERS = [
    "\n\nHuman: ", "\n\nAssistant: ", "User: ", "\nAssistant: ", "<|im_start|>user\n",
    "<|im_end|>\n",
    "<|im_start|>assistant\n", "[INST] ", " [/INST] ", "<|prompter|>", "<|assistant|>", "</s>",
    "user: ", "\n\nassistant:", "\n\nuser: ", "\r\n", "  ", "\t", "[", "{", "\"", "\\", "é🙂\u2028",
]  # fmt: skip
_JUNK = st.one_of(
    st.none(), st.booleans(), st.integers(), st.floats(allow_nan=False), st.just([]), st.just({}),
    st.just(""), st.just(" "), st.lists(st.text(max_size=3), max_size=2),
    st.dictionaries(st.sampled_from(["role", "content", "id", "text"]), st.text(max_size=3)),
)  # fmt: skip
_KEYS = [
    "prompt", "chosen", "rejected", "responses", "completions", "fields", "data", "annotations",
    "prefix", "suffix", "reward", "instruction", "response_a", "response_b", "preferences",
    "completion", "label", "messages", "meta",
]  # fmt: skip
_INNER_KEYS = [
    "role", "content", "from", "value", "id", "text", "response", "a", "b", "winner", "result",
    "type", "to_name", "selected", "ranker", "rank", "user_id", "status", "items", "body",
    "values", "roles", "prompt_external_id",
]  # fmt: skip


@st.composite
def _texts(draw: st.DrawFn) -> str:
    """A text with a word of its own, between markers of templates."""
    pieces = draw(st.lists(st.sampled_from(_MARKERS), max_size=4))
    place = draw(st.integers(0, len(pieces)))
    pieces.insert(place, f"word{draw(st.integers(0, 9**9))}")
    return "".join(pieces)


_MESSAGES = st.lists(
    st.fixed_dictionaries(
        {"role": st.sampled_from(["system", "user", "assistant", "tool", "human"]),
         "content": _texts()}
    ),
    min_size=1,
    max_size=3,
)  # fmt: skip


@st.composite
def _mostly(draw: st.DrawFn, usual: st.SearchStrategy[Any], other: st.SearchStrategy[Any]) -> Any:
    return draw(other if draw(st.integers(0, 7)) == 7 else usual)


_SAID = _mostly(_texts(), st.one_of(_MESSAGES, _MESSAGES.map(json.dumps), _mostly(_texts(), _JUNK)))
_ANSWER = _mostly(
    _texts(),
    st.one_of(
        st.builds(lambda said: [{"role": "assistant", "content": said}], _texts()),
        st.tuples(_MESSAGES, _texts()).map(
            lambda both: [*both[0], {"role": "assistant", "content": both[1]}]
        ),
        _mostly(_texts(), _JUNK),
    ),
)
_ASKED = ("system", "system_prompt", "input", "context", "history", "messages", *PROMPTS)
_COLUMNS = st.one_of(
    st.dictionaries(st.sampled_from(PROMPTS), _SAID, min_size=1, max_size=1),
    st.dictionaries(st.sampled_from(_ASKED), _SAID, min_size=1, max_size=3),
)
_MORE = st.dictionaries(
    st.sampled_from(["id", "annotator", "strength", "winner", "score_chosen", "metadata", "tools",
                     "images", "note", "model_a", "external_id"]),
    _mostly(st.sampled_from(["a", "b", 1, "2", 3.0]), st.one_of(_texts(), _JUNK)),
    max_size=1,
)  # fmt: skip


@st.composite
def _lines(draw: st.DrawFn) -> tuple[dict[str, Any], list[Any]]:
    """A line, and the values of its columns that hold texts."""
    asked, more = draw(_COLUMNS), draw(_MORE)
    one, other = draw(_ANSWER), draw(_ANSWER)
    known = [*asked.values(), one, other]
    line: dict[str, Any]
    match draw(st.integers(0, 5)):
        case 0:
            line = {**asked, "chosen": one, "rejected": other}
        case 1:
            line = {**asked, "response_a": one, "response_b": other}
        case 2:
            line = {**asked, "responses": [{"text": one}, {"text": other, "id": 5}]}
        case 3:
            line = {**asked, "completions": [{"response": one}, {"response": other}]}
        case 4:
            line = {
                "fields": {**asked, "answer1": one, "answer2": other},
                "responses": {
                    "q": [{"value": draw(_mostly(st.just("answer1"), _JUNK)), "user_id": 1}]
                },
            }
        case _:
            result = {
                "type": "pairwise",
                "to_name": "answer1,answer2",
                "value": {"selected": draw(_mostly(st.just("left"), _JUNK))},
            }
            line = {"data": {**asked, "answer1": one, "answer2": other},
                    "annotations": [{"result": [result]}]}  # fmt: skip
    return {**line, **more}, known


def _strings(value: Any) -> Iterator[str]:
    """The texts of a column: a string, or the contents of messages."""
    if isinstance(value, str):
        turns = _decoded(value) or read_transcript(value) or read_rendered(value)
        if turns is None:
            yield value
        else:
            yield from _strings(turns)
    elif isinstance(value, list):
        for each in value:
            if isinstance(each, dict) and isinstance(each.get("content"), str):
                yield each["content"]


def _lines_of(text: str) -> Iterator[str]:
    """Every run of lines of a text."""
    lines = text.splitlines(keepends=True)
    for start in range(len(lines)):
        for end in range(start + 1, len(lines) + 1):
            yield "".join(lines[start:end])


def _decoded(text: str) -> Any:
    try:
        value = json.loads(text)
    except ValueError:
        return None
    return value if isinstance(value, list) and value else None


def _stored(line: GoodLine) -> list[str]:
    content = line.prompt.content
    asked = [content] if isinstance(content, str) else [each["content"] for each in content]
    return [*asked, *(each.text for each in line.prompt.responses)]


@settings(max_examples=600, deadline=None, suppress_health_check=list(HealthCheck))
@given(_lines())
def test_a_line_is_refused_or_all_its_texts_are_stored(
    made: tuple[dict[str, Any], list[Any]],
) -> None:
    line, known = made

    good, bad = read_lines([Line(1, json.dumps(line).encode())])

    assert len(good) + len(bad) == 1
    for read in good:
        stored = _stored(read)
        texts = [text for value in known for text in _strings(value)]
        found = {text for text in texts if any(text in each for each in stored)}
        # A column that says again what another says need not have the same space around it.
        said = {"", *(line for text in found for line in map(str.strip, _lines_of(text)))}
        assert [text for text in texts if text not in found and text.strip() not in said] == []


@settings(max_examples=300, deadline=None, suppress_health_check=list(HealthCheck))
@given(
    st.dictionaries(
        st.sampled_from(_KEYS),
        st.recursive(
            st.one_of(_JUNK, st.text(max_size=5)),
            lambda inner: st.one_of(
                st.lists(inner, max_size=3),
                st.dictionaries(
                    st.sampled_from(_INNER_KEYS),
                    inner,
                    max_size=4,
                ),
            ),
            max_leaves=12,
        ),
        max_size=6,
    )
)
def test_a_line_of_anything_is_read_or_refused(line: dict[str, Any]) -> None:
    good, bad = read_lines([Line(1, json.dumps(line).encode())])

    assert len(good) + len(bad) == 1
