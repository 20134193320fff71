"""What a pair is expected to cost an annotator."""

_SECONDS_PER_MINUTE = 60.0


def expected_seconds(words: int, *, seconds_base: float, words_per_minute: float) -> float:
    """Seconds to judge a pair: a base, and the time to read the words of its two responses.

    ``seconds_base + words · 60 / words_per_minute``. A word is a run of characters without white
    space. The prompt is not counted: it is read once, and then serves all of its pairs.
    """
    return seconds_base + words * _SECONDS_PER_MINUTE / words_per_minute
