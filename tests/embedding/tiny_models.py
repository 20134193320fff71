"""A tiny random causal language model with a tiny tokenizer, saved to a folder."""

from pathlib import Path

import torch
from tokenizers import Tokenizer
from tokenizers.models import WordLevel
from tokenizers.pre_tokenizers import WhitespaceSplit
from transformers import LlamaConfig, LlamaForCausalLM, PreTrainedTokenizerFast

WORDS = ["the", "a", "cat", "dog", "sat", "ran", "on", "under", "mat", "tree", "and", "it", "was"]
CONTEXT_TOKENS = 32


def save_causal_lm(folder: Path, *, pad_token: str | None = None) -> Path:
    """A Llama of two layers with 16 dimensions, and a tokenizer of whole words."""
    torch.manual_seed(0)
    vocabulary = {word: i for i, word in enumerate(["<unk>", "</s>", "<pad>", *WORDS])}
    config = LlamaConfig(
        vocab_size=len(vocabulary),
        hidden_size=16,
        intermediate_size=32,
        num_hidden_layers=2,
        num_attention_heads=2,
        max_position_embeddings=CONTEXT_TOKENS,
        initializer_range=0.5,
    )
    LlamaForCausalLM(config).save_pretrained(folder)
    words = Tokenizer(WordLevel(vocabulary, unk_token="<unk>"))
    words.pre_tokenizer = WhitespaceSplit()
    PreTrainedTokenizerFast(
        tokenizer_object=words, unk_token="<unk>", eos_token="</s>", pad_token=pad_token
    ).save_pretrained(folder)
    return folder
