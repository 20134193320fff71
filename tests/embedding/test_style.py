import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as some

from app.embedding.style import (
    STYLE_FEATURES,
    style_of,
    style_to_bytes,
    styles_from_bytes,
)
from app.selection.cost import count_words

ANSWER = """Sure! I'd use **two** steps:

1. Count the words, because you can't guess.
2. Don't repeat 10 times, perhaps 3.

```py
print("no")
```

See http://example.org (or ask me?)"""


def _one(text: str) -> dict[str, float]:
    return dict(zip(STYLE_FEATURES, style_of([text])[0].tolist(), strict=True))


def test_features_count_what_their_names_say() -> None:
    found = _one(ANSWER)

    counts = {
        "words": count_words(ANSWER),
        "line breaks": 9,
        "paragraphs": 3,
        "list items": 2,
        "Markdown marks": 2 + 6,
        "question marks": 1,
        "exclamation marks": 1,
        "quotation marks": 2,
        "parentheses": 2,
        "colons": 2,
        "numbers": 4,
        "addresses": 1,
        "refusals": 0,
    }
    for name, count in counts.items():
        assert found[name] == pytest.approx(np.log1p(count), abs=1e-6), name
    assert found["code"] == pytest.approx(len('```py\nprint("no")\n```') / len(ANSWER))
    assert found["ends as a sentence"] == 1
    for name in ("hedges", "negations", "connectives", "first person", "second person"):
        assert found[name] > 0, name


@pytest.mark.parametrize(
    ("feature", "less", "more"),
    [
        ("refusals", "I can help with that.", "I'm sorry, but I can’t help with that."),
        ("capitals", "nothing to see here", "NOTHING to see here"),
        ("digits", "about fifty of them", "about 50 of them"),
        ("commas", "one and two and three", "one, two, three"),
        ("letters a word", "a cat sat on it", "extraordinary circumstances prevailed"),
        ("words a sentence", "Yes. No. So.", "Yes no so and on it goes."),
        ("distinct words", "so so so so so so", "six words of which none repeats"),
        ("repetition", "six words of which none repeats", "and so on and so on and so on"),
        ("function words", "cats chase mice", "it is in the way of that"),
        ("characters beyond ASCII", "naive", "naïve"),
    ],
)
def test_a_feature_tells_texts_apart(feature: str, less: str, more: str) -> None:
    assert _one(less)[feature] < _one(more)[feature]


@given(some.lists(some.text(), max_size=5))
def test_any_text_has_a_finite_style_of_its_own(texts: list[str]) -> None:
    found = style_of(texts)

    assert found.shape == (len(texts), len(STYLE_FEATURES))
    assert np.isfinite(found).all()
    for text, row in zip(texts, found, strict=True):
        np.testing.assert_array_equal(style_of([text])[0], row)
    np.testing.assert_array_equal(styles_from_bytes([style_to_bytes(row) for row in found]), found)


@pytest.mark.timeout(60)
@pytest.mark.parametrize("piece", [".", "a'", "\n ", " ", "`", "```", "1.", "#", "I'm "])
def test_a_long_text_of_one_sign_takes_no_more_than_its_length(piece: str) -> None:
    # Time that grew with the square of the length would be hours.
    assert np.isfinite(style_of([piece * 300_000 + "x"])).all()
