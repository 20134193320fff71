"""A prompt and a response as tokens, as TRL tokenises them."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from transformers import PreTrainedTokenizerBase


@dataclass(frozen=True, slots=True)
class Tokens:
    """The tokens of a prompt with a response, which begins at ``start``."""

    ids: list[int]
    start: int

    def cut(self, length: int) -> "Tokens":
        """The first tokens of it."""
        return Tokens(self.ids[:length], min(self.start, length))


def tokenise(
    tokenizer: PreTrainedTokenizerBase, prompt: Any, response: Any, tools: Any = None
) -> Tokens:
    """Both are strings, which are joined as they are and end with the end-of-sequence token, or
    both are messages, for the model's chat template. The response begins where the tokens of the
    prompt alone and of both differ.
    """
    if isinstance(prompt, str):
        end = tokenizer.eos_token or ""
        text = response if end and response.endswith(end) else response + end
        alone = tokenizer(prompt)["input_ids"]
        whole = tokenizer(prompt + text)["input_ids"]
    else:
        alone = _templated(tokenizer, prompt, tools, add_generation_prompt=True)
        whole = _templated(tokenizer, [*prompt, *response], tools)
    return Tokens(whole, common_prefix(alone, whole))


def _templated(
    tokenizer: PreTrainedTokenizerBase, turns: Any, tools: Any, **options: Any
) -> list[int]:
    found = tokenizer.apply_chat_template(
        turns, tools=tools, tokenize=True, return_dict=True, **options
    )
    return list(found["input_ids"])


def common_prefix(one: Sequence[int], other: Sequence[int]) -> int:
    """How many tokens both begin with."""
    for place, (left, right) in enumerate(zip(one, other, strict=False)):
        if left != right:
            return place
    return min(len(one), len(other))
