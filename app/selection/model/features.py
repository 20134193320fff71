"""The features of a prompt and a response, φ(x, y), in few dimensions."""

from collections.abc import Sequence
from dataclasses import dataclass, field
from enum import StrEnum

import numpy as np

from app.selection.arrays import Float64Array, FloatArray
from app.selection.candidates import PromptBlock
from app.selection.pair_grid import gram_matrices, mean_similarities

MOST_DIRECTIONS = 128
MOST_FEATURES = 160
"""With those beside the vectors."""
SIDE_SIZE = 0.4
"""The size of typicality and length, where that of all directions together is 1: such a feature
gets more weight than a direction."""
SIDE_SIZE_BESIDE_STYLE = 0.6
STYLE_SIZE = 0.15
"""The size of each other feature of style."""
_TINY = 1e-10
_LONG = 1_024
"""Eigenvectors of larger covariances are slow: minutes at 8,193 (4096 dimensions)."""


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


class FeatureSet(StrEnum):
    """What the preference model knows of a response."""

    VECTORS = "vectors"
    """Its vector and the prompt's."""
    SIDES = "sides"
    """That, how typical it is of its prompt's responses, and how long it is."""
    STYLE = "style"
    """That, and its style (``app.embedding.style``)."""


def beside_vectors(block: PromptBlock, feature_set: FeatureSet) -> Float64Array:
    """The features of a response beside its vector: ``(prompts, k, features)``.

    - how typical it is: its mean similarity to the prompt's other responses;
    - how long it is: ``log(1 + words)``, 0 where words are not known;
    - with ``FeatureSet.STYLE``: its style, which begins with the length. Where the style of some
      response of a prompt is not known, it is 0 for all of them: it says nothing on their pairs.
    """
    typicality = block.typicality
    if typicality is None:
        typicality = mean_similarities(gram_matrices(block.embeddings))
    known: FloatArray
    if feature_set is FeatureSet.SIDES or block.style is None:
        known = np.zeros(typicality.shape) if block.words is None else np.log1p(block.words)
        known = known[..., None]
    else:
        is_known = ~np.isnan(block.style).any(axis=(1, 2), keepdims=True)
        known = np.where(is_known, block.style, 0.0)
    return np.concatenate([typicality[..., None], known], axis=-1, dtype=np.float64)


@dataclass(frozen=True, slots=True)
class FeatureMap:
    """The principal directions of φ within prompts: how the responses of a prompt differ."""

    basis: FloatArray
    """Orthogonal columns, scaled together: ``(2·dimensions + 1, directions)``."""
    feature_set: FeatureSet = FeatureSet.VECTORS
    side_scale: FloatArray = field(default_factory=lambda: np.empty(0))
    """Factors of the features beside the vectors, ``(features,)``."""

    @property
    def size(self) -> int:
        """How many features a response has."""
        return int(self.basis.shape[1]) + len(self.side_scale)

    def features(self, block: PromptBlock) -> FloatArray:
        """φ of every response in the directions of the basis, then the features beside it.

        ``(prompts, k, features)``.
        """
        found: FloatArray = interactions(prompt_vectors(block), block.embeddings) @ self.basis
        if self.feature_set is FeatureSet.VECTORS:
            return found
        beside = beside_vectors(block, self.feature_set) * self.side_scale
        return np.concatenate([found, beside], axis=-1, dtype=np.float64)

    def rewards(self, block: PromptBlock, weights: FloatArray) -> FloatArray:
        """``features(block) @ weights``, ``(prompts, k)``, without computing the features."""
        dimensions = block.embeddings.shape[-1]
        directions = self.basis.shape[1]
        own, product, cosine = np.split(
            self.basis @ weights[:directions], [dimensions, 2 * dimensions]
        )
        prompts = prompt_vectors(block)
        of_prompt = own + prompts * (np.sqrt(dimensions) * product + cosine)
        rewards: FloatArray = np.matmul(block.embeddings, of_prompt[:, :, None])[:, :, 0]
        if self.feature_set is FeatureSet.VECTORS:
            return rewards
        beside = beside_vectors(block, self.feature_set)
        return rewards + beside @ (self.side_scale * weights[directions:])


def prompt_vectors(block: PromptBlock) -> FloatArray:
    """The prompts' unit vectors, ``(prompts, dimensions)``; without any, their responses' means."""
    if block.prompt_embeddings is not None:
        return block.prompt_embeddings
    mean = block.embeddings.mean(axis=1, dtype=np.float64)
    lengths = np.linalg.norm(mean, axis=1, keepdims=True)
    vectors: FloatArray = np.where(
        lengths < _TINY, block.embeddings[:, 0], mean / (lengths + _TINY)
    )
    return vectors


def fit_feature_map(
    blocks: Sequence[PromptBlock],
    max_directions: int = MOST_DIRECTIONS,
    *,
    feature_set: FeatureSet = FeatureSet.VECTORS,
) -> FeatureMap:
    """The principal directions of φ around each prompt's mean; every prompt counts the same.

    No label is used. The features are scaled so that the mean square distance of a response from
    its prompt's mean is 1: a prior over their weights then means the same on all data. The result
    is deterministic: the sign of a direction makes its largest component positive.

    Args:
        blocks: prompts with their responses.
        max_directions: how many directions are kept at most.
        feature_set: which features stand beside the directions, each with its size as standard
            deviation around its prompt's mean.
    """
    if not blocks:
        raise ValueError("no prompts to find features in")
    size = 2 * blocks[0].embeddings.shape[-1] + 1
    responses = sum(block.response_ids.size for block in blocks)
    find = _few_directions if size > _LONG and responses < size else _directions
    spread, directions, total = find(blocks)
    kept = min(max_directions, int((spread > _TINY).sum()) or 1)
    basis = directions[:, ::-1][:, :kept]
    largest = np.take_along_axis(basis, np.abs(basis).argmax(axis=0)[None, :], axis=0)
    scale = np.sqrt(max(total, _TINY))
    return FeatureMap(
        basis * np.sign(largest) / scale, feature_set, _scale_beside(blocks, feature_set)
    )


def _scale_beside(blocks: Sequence[PromptBlock], feature_set: FeatureSet) -> Float64Array:
    """The factors of the features beside the vectors; 0 for what does not vary."""
    if feature_set is FeatureSet.VECTORS:
        return np.empty(0)
    spreads = [beside_vectors(block, feature_set).var(axis=1) for block in blocks]
    spread = np.concatenate(spreads).mean(axis=0)
    sizes = np.full(len(spread), STYLE_SIZE)
    sizes[:2] = SIDE_SIZE if feature_set is FeatureSet.SIDES else SIDE_SIZE_BESIDE_STYLE
    return np.where(spread > _TINY, sizes / np.sqrt(np.maximum(spread, _TINY)), 0.0)


def _directions(blocks: Sequence[PromptBlock]) -> tuple[Float64Array, Float64Array, float]:
    """The covariance of φ within prompts: its eigenvalues, ascending, eigenvectors and trace."""
    size = 2 * blocks[0].embeddings.shape[-1] + 1
    covariance = np.zeros((size, size))
    for block in blocks:
        around = _around_mean(block)
        covariance += around.T @ around / block.responses
    covariance /= sum(len(block.prompt_ids) for block in blocks)
    spread, directions = np.linalg.eigh(covariance)
    return spread, directions, float(np.trace(covariance))


def _few_directions(blocks: Sequence[PromptBlock]) -> tuple[Float64Array, Float64Array, float]:
    """The same where φ is longer than there are responses, from the products of the responses.

    Directions in which nothing varies are left out, except one.
    """
    prompts = sum(len(block.prompt_ids) for block in blocks)
    rows = np.concatenate(
        [_around_mean(block) / np.sqrt(block.responses * prompts) for block in blocks]
    )
    spread, mixtures = np.linalg.eigh(rows @ rows.T)
    total = float(spread.sum())
    varies = max(1, int((spread > _TINY).sum()))
    spread, mixtures = spread[-varies:], mixtures[:, -varies:]
    return spread, rows.T @ mixtures / np.sqrt(np.maximum(spread, _TINY)), total


def _around_mean(block: PromptBlock) -> Float64Array:
    """φ minus its mean over the prompt: ``(prompts · k, 2·dimensions + 1)``."""
    phi = interactions(prompt_vectors(block), block.embeddings)
    around = phi - phi.mean(axis=1, keepdims=True)
    return np.asarray(around.reshape(-1, phi.shape[-1]), dtype=np.float64)
