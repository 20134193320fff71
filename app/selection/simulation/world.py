"""A labelled file as arrays: the pairs that a simulated project can ask for, and the answers."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from app.selection.arrays import FloatArray, IntArray
from app.selection.candidates import PromptCandidate

FIRST, TIE, SECOND = range(3)
"""The kinds of votes: the columns of ``votes``."""
NEAR_DUPLICATE_SIMILARITY = 0.95


@dataclass(frozen=True, slots=True)
class LabelledPrompt:
    """A prompt with its responses, and the votes on its pairs."""

    embedding: FloatArray
    """Unit vector of the prompt, ``(dimensions,)``."""
    responses: FloatArray
    """Unit vectors of its responses, ``(k, dimensions)``."""
    votes: IntArray
    """Single votes on each pair: ``(pairs, 3)``, rows as in ``pair_grid``, columns FIRST, TIE,
    SECOND. A pair without votes cannot be asked."""
    gold: FloatArray | None = None
    """How good each response is, comparable within the prompt: ``(k,)``; NaN, None: not known."""
    words: IntArray | None = None
    """How many words each response has, ``(k,)``; None: not known."""
    style: FloatArray | None = None
    """The style of each response, ``(k, features)``; None: not known."""
    question: FloatArray | None = None
    """Unit vector of what the prompt asks, by which it is grouped; None: ``embedding``."""

    @property
    def asked(self) -> NDArray[np.bool_]:
        """Which pairs have votes: ``(pairs,)``."""
        asked: NDArray[np.bool_] = self.votes.sum(axis=1) > 0
        return asked


@dataclass(frozen=True, slots=True)
class World:
    """All prompts of a file that have a pair with votes."""

    prompts: Sequence[LabelledPrompt]
    near_duplicate: NDArray[np.bool_]
    """Whether the prompt is a near-duplicate of an earlier one: ``(prompts,)``."""

    @property
    def pairs(self) -> IntArray:
        """How many pairs with votes each prompt has: ``(prompts,)``."""
        return np.array([int(prompt.asked.sum()) for prompt in self.prompts])

    @property
    def response_offsets(self) -> IntArray:
        """The index of each prompt's first response, counted over all prompts: ``(prompts,)``."""
        sizes = [len(prompt.responses) for prompt in self.prompts]
        return np.concatenate([[0], np.cumsum(sizes)[:-1]]).astype(np.int64)


def make_world(prompts: Sequence[LabelledPrompt]) -> World:
    """A world of the prompts that have votes, with near-duplicates marked as in a live project.

    Raises:
        ValueError: no prompt has votes.
    """
    asked = [prompt for prompt in prompts if prompt.asked.any()]
    if not asked:
        raise ValueError("no prompt has a pair with a preference")
    vectors = np.stack([_grouped_by(prompt).astype(np.float64) for prompt in asked])
    similar = np.tril(vectors @ vectors.T >= NEAR_DUPLICATE_SIMILARITY, k=-1)
    return World(asked, np.asarray(similar.any(axis=1), dtype=np.bool_))


def _grouped_by(prompt: LabelledPrompt) -> FloatArray:
    return prompt.embedding if prompt.question is None else prompt.question


def candidates(world: World, order_keys: FloatArray, pool: IntArray) -> list[PromptCandidate]:
    """The prompts of the pool; a prompt's id is its index in the world.

    Args:
        world: the world.
        order_keys: a draw from [0, 1) for every prompt of the world: ``(prompts,)``.
        pool: indices of prompts in the world.
    """
    offsets = world.response_offsets
    return [
        PromptCandidate(
            prompt_id=int(place),
            response_ids=range(
                offsets[place], offsets[place] + len(world.prompts[place].responses)
            ),
            embeddings=world.prompts[place].responses,
            near_duplicate=bool(world.near_duplicate[place]),
            order_key=float(order_keys[place]),
            prompt_embedding=world.prompts[place].embedding,
            words=world.prompts[place].words,
            style=world.prompts[place].style,
        )
        for place in pool
    ]
