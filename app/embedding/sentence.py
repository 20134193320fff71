"""Embedding models of sentence-transformers."""

from collections.abc import Sequence
from itertools import chain

import numpy as np
from numpy.typing import NDArray
from sentence_transformers import SentenceTransformer
from transformers import PreTrainedTokenizerFast

from app.embedding.encoder import unit_rows
from app.embedding.windows import Window, cut, weighted_means


class SentenceEncoder:
    """A sentence-transformers model that reads long texts to their end.

    A text that fits the model's window has exactly the vector that sentence-transformers gives it.
    A longer one has the token-weighted mean of its windows' unit vectors (``windows.cut``). Models
    without a fast tokenizer, or without a window, embed a text in their own way.
    """

    def __init__(self, name: str, model: SentenceTransformer) -> None:
        self.name = name
        self._model = model.eval()
        self._tokenizer = model.tokenizer
        self._special_tokens = 0
        self._window_tokens = self._find_window()
        self.dimensions = int(self._model_vectors(["how many dimensions?"]).shape[1])

    def encode(self, texts: Sequence[str]) -> NDArray[np.float32]:
        """Unit vectors ``(texts, dimensions)``; the windows of all texts are batched together."""
        if not texts:
            return np.empty((0, self.dimensions), dtype=np.float32)
        windows = self._cut(texts)
        vectors = unit_rows(self._encode(list(chain.from_iterable(windows))))
        weights = np.array([max(window.tokens, 1) for window in chain.from_iterable(windows)])
        return unit_rows(
            weighted_means(vectors, weights.astype(np.float64), [len(parts) for parts in windows])
        )

    def _find_window(self) -> int | None:
        """How many tokens of a text the model reads, without special tokens and its own prompt."""
        longest = self._model.max_seq_length
        if longest is None or not isinstance(self._tokenizer, PreTrainedTokenizerFast):
            return None
        self._special_tokens = self._tokenizer.num_special_tokens_to_add()
        prompt = self._model.prompts.get(self._model.default_prompt_name or "") or ""
        room = int(longest) - self._special_tokens - len(self._offsets([prompt])[0])
        return room if room > 0 else None

    def _offsets(self, texts: Sequence[str]) -> list[list[tuple[int, int]]]:
        tokenised = self._tokenizer(
            list(texts),
            add_special_tokens=False,
            padding=False,
            truncation=False,
            return_attention_mask=False,
            return_token_type_ids=False,
            return_offsets_mapping=True,
            verbose=False,
        )
        offsets: list[list[tuple[int, int]]] = tokenised["offset_mapping"]
        return offsets

    def _cut(self, texts: Sequence[str]) -> list[list[Window]]:
        if self._window_tokens is None:
            return [[Window(text, 1)] for text in texts]
        return [
            cut(text, offsets, self._window_tokens)
            for text, offsets in zip(texts, self._offsets(texts), strict=True)
        ]

    def _encode(self, windows: Sequence[Window]) -> NDArray[np.float32]:
        """The model's own vectors; zero for a window without any token, special ones included."""
        vectors = np.zeros((len(windows), self.dimensions), dtype=np.float32)
        readable = [i for i, window in enumerate(windows) if window.tokens or self._special_tokens]
        if readable:
            vectors[readable] = self._model_vectors([windows[i].text for i in readable])
        return vectors

    def _model_vectors(self, texts: list[str]) -> NDArray[np.float32]:
        """The vectors of sentence-transformers, which sorts by length: ``(texts, dimensions)``."""
        return self._model.encode(
            texts,
            batch_size=256 if self._model.device.type == "cuda" else 32,
            show_progress_bar=False,
            convert_to_numpy=True,
        )
