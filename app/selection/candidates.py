"""What a strategy chooses from: prompts with the embeddings of their responses, in blocks."""

from collections import defaultdict
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, fields
from typing import Any

import numpy as np
from numpy.typing import NDArray

from app.selection.arrays import BoolArray, FloatArray, IntArray
from app.selection.pair_grid import column_of, pair_columns, pair_count


@dataclass(frozen=True, slots=True)
class PromptCandidate:
    """One prompt whose next pairs are to be chosen."""

    prompt_id: int
    response_ids: Sequence[int]
    embeddings: FloatArray
    """Unit vectors, ``(responses, dimensions)``, in the order of ``response_ids``."""
    taken: Sequence[tuple[int, int]] = ()
    """Pairs of response ids that are or were in the plan."""
    round: int = 0
    near_duplicate: bool = False
    order_key: float = 0.0
    """A draw from [0, 1), which gives the uniform random order of prompts."""
    prompt_embedding: FloatArray | None = None
    """The prompt's unit vector, ``(dimensions,)``; used only if all prompts have one."""
    words: Sequence[int] | IntArray | None = None
    """How many words each response has, in the order of ``response_ids``; used only if all prompts
    have them."""
    response_rounds: Sequence[int] | None = None
    """The round of each response, in the order of ``response_ids``; None: all are of the first."""
    style: FloatArray | None = None
    """The style of each response, ``(responses, features)``, NaN where it is not known; used only
    if all prompts have it."""


@dataclass(frozen=True, slots=True)
class PromptBlock:
    """Prompts with the same number of responses, as arrays.

    Built by ``blocks_of``, which sorts prompts and responses by id, so that no strategy depends on
    the order of its input.
    """

    prompt_ids: IntArray
    """``(prompts,)``, ascending."""
    response_ids: IntArray
    """``(prompts, k)``, ascending in each row."""
    embeddings: FloatArray
    """Unit vectors, ``(prompts, k, dimensions)``."""
    taken: BoolArray
    """Pairs that are or were in the plan: ``(prompts, pairs)``, columns as in ``pair_grid``."""
    rounds: IntArray
    """How many pairs of each prompt were planned before: ``(prompts,)``."""
    near_duplicate: BoolArray
    """Whether the prompt is a near-duplicate of an earlier one: ``(prompts,)``."""
    order_keys: FloatArray
    """Draws from [0, 1), which give the uniform random order of prompts: ``(prompts,)``."""
    expected_seconds: FloatArray | None = None
    """The expected cost of each pair: ``(prompts, pairs)``; None: all the same."""
    prompt_embeddings: FloatArray | None = None
    """Unit vectors of the prompts, ``(prompts, dimensions)``; None: not known."""
    words: IntArray | None = None
    """How many words each response has: ``(prompts, k)``; None: not known."""
    response_rounds: IntArray | None = None
    """The round of each response: ``(prompts, k)``; None: all are of the first."""
    typicality: FloatArray | None = None
    """Each response's mean similarity to the others of its prompt, ``(prompts, k)``; None: all of
    them are in the block, so it is computed from the embeddings."""
    style: FloatArray | None = None
    """The style of each response, ``(prompts, k, features)``, NaN where it is not known; None: not
    known of any."""

    @property
    def responses(self) -> int:
        """The number of responses, k."""
        return int(self.response_ids.shape[1])

    @property
    def pair_rounds(self) -> IntArray | None:
        """The round of each pair, the older one of its responses: ``(prompts, pairs)``."""
        if self.response_rounds is None:
            return None
        first, second = pair_columns(self.responses)
        return np.minimum(self.response_rounds[:, first], self.response_rounds[:, second])

    def select(self, rows: IntArray) -> "PromptBlock":
        """The prompts in these rows."""
        arrays = {field.name: getattr(self, field.name) for field in fields(self)}
        known = {name: array[rows] for name, array in arrays.items() if array is not None}
        return PromptBlock(**known)


def blocks_of(candidates: Iterable[PromptCandidate]) -> list[PromptBlock]:
    """The candidates in blocks, one for each number of responses, fewest responses first."""
    by_size: dict[int, list[PromptCandidate]] = defaultdict(list)
    for candidate in candidates:
        by_size[len(candidate.response_ids)].append(candidate)
    return [
        _block(sorted(by_size[size], key=lambda candidate: candidate.prompt_id))
        for size in sorted(by_size)
    ]


def _block(prompts: list[PromptCandidate]) -> PromptBlock:
    unsorted_ids = np.array([prompt.response_ids for prompt in prompts], dtype=np.int64)
    order = np.argsort(unsorted_ids, axis=1)
    response_ids = np.take_along_axis(unsorted_ids, order, axis=1)
    embeddings = np.stack(
        [prompt.embeddings[row] for prompt, row in zip(prompts, order, strict=True)]
    )
    words = _of_all([prompt.words for prompt in prompts])
    style = _of_all([prompt.style for prompt in prompts])
    rounds = None
    if any(prompt.response_rounds is not None for prompt in prompts):
        size = response_ids.shape[1]
        rounds = np.array([prompt.response_rounds or [1] * size for prompt in prompts])
    return PromptBlock(
        prompt_ids=np.array([prompt.prompt_id for prompt in prompts], dtype=np.int64),
        response_ids=response_ids,
        embeddings=embeddings,
        taken=_taken(prompts, response_ids),
        rounds=np.array([prompt.round for prompt in prompts], dtype=np.int64),
        near_duplicate=np.array([prompt.near_duplicate for prompt in prompts], dtype=np.bool_),
        order_keys=np.array([prompt.order_key for prompt in prompts], dtype=np.float64),
        prompt_embeddings=_of_all([prompt.prompt_embedding for prompt in prompts]),
        words=None if words is None else np.take_along_axis(words, order, axis=1),
        response_rounds=None if rounds is None else np.take_along_axis(rounds, order, axis=1),
        style=None if style is None else np.take_along_axis(style, order[:, :, None], axis=1),
    )


def _of_all(known: list[Any]) -> NDArray[Any] | None:
    """One row a prompt; None if something is not known of some prompt."""
    return None if any(each is None for each in known) else np.array(known)


def _taken(prompts: list[PromptCandidate], response_ids: IntArray) -> BoolArray:
    size = response_ids.shape[1]
    taken = np.zeros((len(prompts), pair_count(size)), dtype=np.bool_)
    for row, prompt in enumerate(prompts):
        if prompt.taken:
            column_of_response = {
                response_id: column for column, response_id in enumerate(response_ids[row].tolist())
            }
            for pair in prompt.taken:
                low, high = sorted(column_of_response[response_id] for response_id in pair)
                taken[row, column_of(low, high, size)] = True
    return taken
