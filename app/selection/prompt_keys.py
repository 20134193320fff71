"""Turn an order of all prompts into the prompt keys of each block."""

from collections.abc import Sequence

import numpy as np

from app.selection.arrays import FloatArray, IntArray
from app.selection.candidates import PromptBlock


def as_prompt_keys(blocks: Sequence[PromptBlock], sequence: IntArray) -> list[FloatArray]:
    """Keys in [0, 1), one array a block.

    Args:
        blocks: the prompts, as the strategy got them.
        sequence: indices of the prompts in all blocks concatenated, the first to come first.
    """
    keys = np.empty(len(sequence))
    keys[sequence] = np.arange(len(sequence)) / len(sequence)
    sizes = np.cumsum([len(block.prompt_ids) for block in blocks])[:-1]
    return list(np.split(keys, sizes))


def best_first(blocks: Sequence[PromptBlock], scores: FloatArray) -> list[FloatArray]:
    """Prompt keys that put high scores first, ties by id.

    Args:
        blocks: the prompts.
        scores: one a prompt, of all blocks concatenated.
    """
    ids = np.concatenate([block.prompt_ids for block in blocks])
    return as_prompt_keys(blocks, np.lexsort((ids, -scores)))
