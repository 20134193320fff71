import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from app.embedding.windows import MAX_WINDOWS, Window, cut, weighted_means


def _text(words: int) -> tuple[str, list[tuple[int, int]]]:
    """A text of so many four-letter words, and where each stands."""
    return (
        " ".join(f"{i:04d}" for i in range(words)),
        [(5 * i, 5 * i + 4) for i in range(words)],
    )


@pytest.mark.parametrize("words", [0, 1, 10])
def test_a_text_that_fits_is_one_window_and_whole(words: int) -> None:
    text = "  " + _text(words)[0] + "\n"
    assert cut(text, _text(words)[1], 10) == [Window(text, words)]


@given(st.integers(11, 160))
def test_windows_are_consecutive_and_hold_every_token_once(words: int) -> None:
    text, offsets = _text(words)
    windows = cut(text, offsets, 10)
    assert " ".join(window.text for window in windows) == text
    assert [window.tokens for window in windows] == [len(w.text.split()) for w in windows]
    assert max(window.tokens for window in windows) == 10


@given(st.integers(161, 3000))
def test_a_very_long_text_gives_windows_from_its_beginning_to_its_end(words: int) -> None:
    text, offsets = _text(words)
    windows = cut(text, offsets, 10)
    starts = [int(window.text[:4]) for window in windows]
    assert len(windows) == MAX_WINDOWS
    assert text.startswith(windows[0].text)
    assert text.endswith(windows[-1].text)
    gaps = np.diff(starts)
    assert gaps.min() > 0
    assert gaps.max() - gaps.min() <= 10


def test_each_text_gets_the_mean_of_its_own_windows_by_weight() -> None:
    vectors = np.array([[1, 0], [0, 1], [1, 1], [2, 2]], dtype=np.float32)
    means = weighted_means(vectors, np.array([3.0, 1.0, 5.0, 1.0]), [2, 1, 1])
    assert means == pytest.approx(np.array([[0.75, 0.25], [1, 1], [2, 2]]))
