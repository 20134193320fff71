"""Self-supervised Preference Optimization, SPO (arXiv 2409.17791): how good, not only which.

L = L_align + γ·L_degree. L_align is DPO's −log σ(z). For L_degree, K versions of the chosen
response are made, from whole to one without any of its key content; a linear head on the mean of
the model's last hidden states over the response tells them apart, by cross-entropy over K classes.

The method is the paper's; its details could not be verified, because the authors' repository holds
no code: K, γ, the learning rate, the pooling, that the chosen response is the one that is taken
apart, and the extractor of key content (here: the words of the response by tf-idf within the file)
are ours.
"""

import re
from collections.abc import Mapping, Sequence
from typing import Final

import numpy as np
from sklearn.feature_extraction.text import TfidfVectorizer
from torch import Tensor
from torch.nn.functional import cross_entropy

from app.training.loss import PairLoss, Pairs, dpo

_WORD: Final = re.compile(r"\w+", re.UNICODE)


def degree_losses(logits: Tensor, degrees: Tensor) -> Tensor:
    """−log softmax(logits)[degree]: (versions, K) and (versions,) to (versions,)."""
    return cross_entropy(logits, degrees, reduction="none")


class KeyContent:
    """Which words of a text carry it: those of the highest tf-idf among the texts of the file."""

    def __init__(self, texts: Sequence[str]) -> None:
        self._vectorizer = TfidfVectorizer(
            tokenizer=_WORD.findall,
            token_pattern=None,
            stop_words="english",
        )
        try:
            self._vectorizer.fit(texts)
        except ValueError:  # no text has a word that is not a stop word
            self._vectorizer = None

    def words(self, text: str) -> list[str]:
        """The key words in lower case, the most telling first; equal ones by the alphabet."""
        if self._vectorizer is None:
            return []
        row = self._vectorizer.transform([text])
        names = self._vectorizer.get_feature_names_out()
        order = np.lexsort((names[row.indices], -row.data))
        return [str(names[row.indices[place]]) for place in order]

    def versions(self, text: str, count: int) -> list[str]:
        """``count`` versions of the text, from whole to without any of its key words."""
        words = self.words(text)
        return [
            _without(text, set(words[: round(len(words) * degree / (count - 1))]))
            for degree in range(count)
        ]


def _without(text: str, words: set[str]) -> str:
    if not words:
        return text
    kept = _WORD.sub(lambda word: "" if word[0].lower() in words else word[0], text)
    return re.sub(r"[ \t]{2,}", " ", kept)


def _losses(pairs: Pairs, _: Mapping[str, float]) -> Tensor:
    return dpo(pairs.z)  # the trainer adds the loss of the degrees


LOSS = PairLoss(
    name="spo",
    description="Also learns how much of a response's key content is there (SPO)",
    paper="2409.17791",
    recipe="dpo",
    own={"gamma": 0.1, "degrees": 4},
    own_source="default",
    losses=_losses,
    versions=True,
)
