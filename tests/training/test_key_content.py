"""SPO's versions of a response: from whole to without its key content."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from app.training.losses.spo import KeyContent

TEXTS = [
    "The capital of France is Paris, on the Seine.",
    "The capital of Italy is Rome.",
    "I do not know the capital.",
]


def test_rare_words_are_the_key_content() -> None:
    words = KeyContent(TEXTS).words(TEXTS[0])
    assert set(words) == {"france", "paris", "seine", "capital"}
    assert words[-1] == "capital"  # it stands in every text


def test_versions_lose_the_key_content_step_by_step() -> None:
    versions = KeyContent(TEXTS).versions(TEXTS[0], 3)
    assert versions[0] == TEXTS[0]
    assert versions[2] == "The of is , on the ."
    kept = [
        sum(word in each for word in ("France", "Paris", "Seine", "capital")) for each in versions
    ]
    assert kept == [4, 2, 0]


@pytest.mark.parametrize("texts", [[""], ["the and of"], ["...", "!!"]])
def test_texts_without_key_content_stay_whole(texts: list[str]) -> None:
    content = KeyContent(texts)
    assert [content.versions(text, 4) for text in texts] == [[text] * 4 for text in texts]


@given(st.lists(st.text(max_size=80), min_size=1, max_size=5), st.integers(2, 6))
def test_a_version_is_never_longer_than_the_one_before(texts: list[str], count: int) -> None:
    content = KeyContent(texts)
    for text in texts:
        versions = content.versions(text, count)
        assert len(versions) == count
        assert versions[0] == text
        lengths = [len(version) for version in versions]
        assert lengths == sorted(lengths, reverse=True)
