"""A plain causal language model as the embedding model: REAL's own setting (arXiv 2409.17169)."""

from collections.abc import Iterator, Sequence

import numpy as np
import torch
from numpy.typing import NDArray
from torch.nn.utils.rnn import pad_sequence
from transformers import PreTrainedModel, PreTrainedTokenizerBase

from app.embedding.encoder import unit_rows

MAX_CONTEXT_TOKENS = 4096
_TOKENS_PER_BATCH = 16_384


class CausalLMEncoder:
    """The attention-masked mean of the last hidden states of a frozen language model.

    ``model`` is the transformer without its head, as ``AutoModel`` loads it. A text is encoded
    alone, without its prompt and without a chat template. It is cut at the model's context length,
    or at ``MAX_CONTEXT_TOKENS`` if that is shorter.
    """

    def __init__(
        self, name: str, model: PreTrainedModel, tokenizer: PreTrainedTokenizerBase
    ) -> None:
        config = model.config.get_text_config()
        self.name = name
        self.dimensions = int(config.hidden_size)
        self._model = model.eval().requires_grad_(False)
        self._tokenizer = tokenizer
        context = getattr(config, "max_position_embeddings", None) or MAX_CONTEXT_TOKENS
        self._context_tokens = min(int(context), MAX_CONTEXT_TOKENS)
        padding = (tokenizer.pad_token_id, tokenizer.eos_token_id, 0)
        self._pad_token_id = next(token for token in padding if token is not None)

    def encode(self, texts: Sequence[str]) -> NDArray[np.float32]:
        """Unit vectors ``(texts, dimensions)``, computed in batches of texts of similar length."""
        vectors = np.zeros((len(texts), self.dimensions), dtype=np.float32)
        tokens = self._tokenise(texts)
        for batch in _batches([len(row) for row in tokens]):
            vectors[batch] = self._means([tokens[i] for i in batch])
        return unit_rows(vectors)

    def _tokenise(self, texts: Sequence[str]) -> list[list[int]]:
        if not texts:
            return []
        tokenised = self._tokenizer(
            list(texts), padding=False, truncation=True, max_length=self._context_tokens
        )
        tokens: list[list[int]] = tokenised["input_ids"]
        return tokens

    @torch.inference_mode()
    def _means(self, rows: Sequence[Sequence[int]]) -> NDArray[np.float32]:
        """The masked mean of the last hidden states, ``(rows, dimensions)``.

        Padding is on the right, where a causal model cannot see it from the text.
        """
        tokens = pad_sequence(
            [torch.tensor(row) for row in rows], batch_first=True, padding_value=self._pad_token_id
        ).to(self._model.device)
        lengths = torch.tensor([len(row) for row in rows], device=tokens.device)
        mask = torch.arange(tokens.shape[1], device=tokens.device)[None, :] < lengths[:, None]
        hidden = self._model(
            input_ids=tokens, attention_mask=mask.long(), use_cache=False
        ).last_hidden_state.float()
        sums = hidden.masked_fill(~mask[:, :, None], 0.0).sum(dim=1)
        means: NDArray[np.float32] = (sums / lengths[:, None]).cpu().numpy()
        return means


def _batches(lengths: Sequence[int]) -> Iterator[list[int]]:
    """Indices of the rows that are not empty, longest first, in batches of limited padded size."""
    batch: list[int] = []
    for index in sorted(range(len(lengths)), key=lambda i: -lengths[i]):
        if not lengths[index]:
            break
        if batch and (len(batch) + 1) * lengths[batch[0]] > _TOKENS_PER_BATCH:
            yield batch
            batch = []
        batch.append(index)
    if batch:
        yield batch
