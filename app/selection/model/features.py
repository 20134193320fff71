"""What the preference model knows of a prompt and a response: φ(x, y), in few dimensions."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from app.selection.arrays import FloatArray
from app.selection.candidates import PromptBlock

MOST_FEATURES = 128
_TINY = 1e-10


def interactions(prompts: FloatArray, responses: FloatArray) -> FloatArray:
    """φ(x, y) = [e(y), √d·e(x)∘e(y), e(x)·e(y)]: ``(prompts, k, 2·dimensions + 1)``.

    The factor gives the product of two unit vectors the size of one. A constant of the prompt
    would fall out of every difference, so there is none.

    Args:
        prompts: unit vectors, ``(prompts, dimensions)``.
        responses: unit vectors, ``(prompts, k, dimensions)``.
    """
    product = prompts[:, None, :] * responses
    scaled = product * np.sqrt(responses.shape[-1])
    cosine = product.sum(axis=-1, keepdims=True)
    joined: FloatArray = np.concatenate([responses, scaled, cosine], axis=-1, dtype=np.float64)
    return joined


@dataclass(frozen=True, slots=True)
class FeatureMap:
    """The principal directions of φ within prompts: what tells the responses of a prompt apart."""

    basis: FloatArray
    """Orthogonal columns, scaled together: ``(2·dimensions + 1, features)``."""

    def features(self, block: PromptBlock) -> FloatArray:
        """φ of every response in the directions of the basis: ``(prompts, k, features)``."""
        found: FloatArray = interactions(prompt_vectors(block), block.embeddings) @ self.basis
        return found


def prompt_vectors(block: PromptBlock) -> FloatArray:
    """The prompts' unit vectors ``(prompts, dimensions)``; their responses' mean where none."""
    if block.prompt_embeddings is not None:
        return block.prompt_embeddings
    mean = block.embeddings.mean(axis=1, dtype=np.float64)
    lengths = np.linalg.norm(mean, axis=1, keepdims=True)
    vectors: FloatArray = np.where(
        lengths < _TINY, block.embeddings[:, 0], mean / (lengths + _TINY)
    )
    return vectors


def fit_feature_map(
    blocks: Sequence[PromptBlock], most_features: int = MOST_FEATURES
) -> FeatureMap:
    """The principal directions of φ around each prompt's mean, every prompt counting the same.

    No label is looked at. The features are scaled so that a response lies at a mean square distance
    of 1 from its prompt's mean: a prior over their weights then means the same on all data.
    Deterministic: the sign of a direction makes its largest component positive.
    """
    if not blocks:
        raise ValueError("no prompts to find features in")
    size = 2 * blocks[0].embeddings.shape[-1] + 1
    covariance = np.zeros((size, size))
    for block in blocks:
        phi = interactions(prompt_vectors(block), block.embeddings)
        around = (phi - phi.mean(axis=1, keepdims=True)).reshape(-1, size)
        covariance += around.T @ around / block.responses
    covariance /= sum(len(block.prompt_ids) for block in blocks)
    spread, directions = np.linalg.eigh(covariance)
    kept = min(most_features, int((spread > _TINY).sum()) or 1)
    basis = directions[:, ::-1][:, :kept]
    largest = np.take_along_axis(basis, np.abs(basis).argmax(axis=0)[None, :], axis=0)
    scale = np.sqrt(max(float(np.trace(covariance)), _TINY))
    return FeatureMap(basis * np.sign(largest) / scale)
