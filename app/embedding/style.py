"""The style of a response in numbers: how long it is, how it is laid out, which words it uses.

Cheap to compute (about as much as one per cent of an embedding), and much of what people prefer:
with these features beside the vectors, the preference model needs far fewer labels
(`docs/label-efficiency.md`). They are of the response alone. Counts go in as log(1 + n), shares of
the text as square roots, so that no long text outweighs all others. Words are looked up in short
English lists; in other languages those features are 0 and take no part.
"""

import re
from collections.abc import Callable, Sequence
from math import log1p, sqrt
from typing import Final

import numpy as np
from numpy.typing import NDArray

STYLE_VERSION: Final = 1
"""Of what ``style_of`` computes; to be raised with any change of it."""

_STORED: Final = np.dtype("<f4")
_WORD: Final = re.compile(r"[^\W\d_]+(?:'[^\W\d_]+)*")
_SENTENCE_END: Final = re.compile(r"(?<![.!?])[.!?]++(?=\s|$)|\n+")
_LIST_ITEM: Final = re.compile(r"^[ \t]*(?:[-*•+]|\d{1,3}[.)])[ \t]+\S", re.MULTILINE)
_MARKDOWN: Final = re.compile(r"\*\*|__|^#{1,6} |`|\|", re.MULTILINE)
_CODE: Final = re.compile(r"```.*?(?:```|\Z)", re.DOTALL)
_BLANK_LINES: Final = re.compile(r"\n\s*\n")
_NUMBER: Final = re.compile(r"\d+")
_DIGIT: Final = re.compile(r"\d")
_CAPITAL: Final = re.compile("[A-ZÀ-ÖØ-ÞΑ-ΩА-Я]")
_BEYOND_ASCII: Final = re.compile(r"[^\x00-\x7f]")
_REFUSAL: Final = re.compile(
    r"\b(?:i(?:['’]m| am) (?:sorry|not able|unable)|sorry,|i (?:can(?:['’]|no)t|cannot|won['’]t"
    r"|do not|don['’]t) |as an ai|unfortunately|apologi[sz]e)",
    re.IGNORECASE,
)


def _words(listed: str) -> frozenset[str]:
    return frozenset(listed.split())


_FIRST_PERSON: Final = _words("i me my mine myself i'm i've i'd i'll we us our ours")
_SECOND_PERSON: Final = _words("you your yours yourself you're you've you'll you'd")
_HEDGES: Final = _words("""
    may might could perhaps possibly maybe probably likely seems seem appears generally typically
    often usually sometimes
""")
_CONNECTIVES: Final = _words("""
    because however therefore although but so since while thus hence additionally furthermore also
    first second finally example instance such
""")
_NEGATIONS: Final = _words("""
    not no never none nothing cannot can't don't doesn't isn't aren't won't wouldn't didn't
    shouldn't
""")
_FUNCTION_WORDS: Final = _words("""
    the a an of to in and is it that this for on with as are be was by or from at which have has not
    but they their its he she his her will can would there if so
""")
_ENDINGS: Final = frozenset(".!?)\"'”’`:*")
_QUOTES: Final = '"“”'


class _Text:
    """A response, with what several features are made of."""

    def __init__(self, text: str) -> None:
        self.text = text
        self.characters = max(len(text), 1)
        self.count = len(text.split())
        self.words = _WORD.findall(text.lower().replace("’", "'"))
        self.some_words = max(len(self.words), 1)
        parts = _SENTENCE_END.split(text)
        self.sentences = max(1, sum(bool(part.strip()) for part in parts))

    def occurrences(self, characters: str) -> int:
        return sum(map(self.text.count, characters))

    def share_of_words(self, known: frozenset[str]) -> float:
        return sum(map(known.__contains__, self.words)) / self.some_words

    def share_of_characters(self, wanted: re.Pattern[str]) -> float:
        return len(wanted.findall(self.text)) / self.characters

    def repeated(self) -> float:
        """The share of runs of three words that stand in the text more than once."""
        runs = list(zip(self.words, self.words[1:], self.words[2:], strict=False))
        return 1 - len(set(runs)) / len(runs) if runs else 0.0


_FEATURES: Final[dict[str, Callable[[_Text], float]]] = {
    "words": lambda its: log1p(its.count),
    # A length may be best in the middle; 50 words is about where answers are short.
    "words, squared": lambda its: (log1p(its.count) - 4) ** 2,
    "line breaks": lambda its: log1p(its.text.count("\n")),
    "paragraphs": lambda its: log1p(len(_BLANK_LINES.findall(its.text))),
    "list items": lambda its: log1p(len(_LIST_ITEM.findall(its.text))),
    "Markdown marks": lambda its: log1p(len(_MARKDOWN.findall(its.text))),
    "code": lambda its: sum(map(len, _CODE.findall(its.text))) / its.characters,
    "question marks": lambda its: log1p(its.text.count("?")),
    "exclamation marks": lambda its: log1p(its.text.count("!")),
    "digits": lambda its: sqrt(its.share_of_characters(_DIGIT)),
    "capitals": lambda its: sqrt(its.share_of_characters(_CAPITAL)),
    "commas": lambda its: sqrt(its.text.count(",") / max(its.count, 1)),
    "quotation marks": lambda its: log1p(its.occurrences(_QUOTES)),
    "parentheses": lambda its: log1p(its.text.count("(")),
    "colons": lambda its: log1p(its.text.count(":")),
    "words a sentence": lambda its: log1p(its.count / its.sentences),
    "letters a word": lambda its: sum(map(len, its.words)) / its.some_words,
    "distinct words": lambda its: len(set(its.words)) / sqrt(its.some_words),
    "first person": lambda its: sqrt(its.share_of_words(_FIRST_PERSON)),
    "second person": lambda its: sqrt(its.share_of_words(_SECOND_PERSON)),
    "sentences": lambda its: log1p(its.sentences),
    "refusals": lambda its: log1p(len(_REFUSAL.findall(its.text))),
    "hedges": lambda its: sqrt(its.share_of_words(_HEDGES)),
    "connectives": lambda its: sqrt(its.share_of_words(_CONNECTIVES)),
    "negations": lambda its: sqrt(its.share_of_words(_NEGATIONS)),
    "ends as a sentence": lambda its: float(its.text.rstrip()[-1:] in _ENDINGS),
    "characters beyond ASCII": lambda its: its.share_of_characters(_BEYOND_ASCII),
    "repetition": lambda its: its.repeated(),
    "function words": lambda its: its.share_of_words(_FUNCTION_WORDS),
    "numbers": lambda its: log1p(len(_NUMBER.findall(its.text))),
    "addresses": lambda its: log1p(its.text.count("http")),
}

STYLE_FEATURES: Final = tuple(_FEATURES)
"""The names of the features; the first is log(1 + words)."""


def style_of(texts: Sequence[str]) -> NDArray[np.float32]:
    """The style of each response, ``(texts, features)``, in the order of ``STYLE_FEATURES``."""
    rows = [[feature(its) for feature in _FEATURES.values()] for its in map(_Text, texts)]
    return np.array(rows, dtype=np.float32).reshape(len(texts), len(_FEATURES))


def style_to_bytes(style: NDArray[np.float32]) -> bytes:
    """One response's style, ``(features,)``, as it is stored: little-endian float32."""
    return style.astype(_STORED).tobytes()


def styles_from_bytes(rows: Sequence[bytes]) -> NDArray[np.float32]:
    """Styles that ``style_to_bytes`` wrote: ``(n, features)``."""
    joined = np.frombuffer(b"".join(rows), dtype=_STORED)
    return joined.reshape(len(rows), len(STYLE_FEATURES)).astype(np.float32)
