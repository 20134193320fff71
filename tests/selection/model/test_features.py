from dataclasses import replace

import numpy as np
import pytest

from app.selection.candidates import blocks_of
from app.selection.model.features import fit_feature_map, interactions, prompt_vectors
from tests.selection.candidate_samples import random_prompts, unit


def test_the_features_are_the_response_its_product_with_the_prompt_and_their_cosine() -> None:
    rng = np.random.default_rng(0)
    prompts, responses = unit(rng.standard_normal((3, 4))), rng.standard_normal((3, 2, 4))

    phi = interactions(prompts, responses.astype(np.float32))

    for row in range(3):
        for place in range(2):
            e, y = prompts[row].astype(np.float64), responses[row, place]
            expected = np.concatenate([y, np.sqrt(4) * e * y, [e @ y]])
            np.testing.assert_allclose(phi[row, place], expected, atol=1e-6)


def test_with_all_directions_distances_within_a_prompt_are_those_of_the_full_features() -> None:
    blocks = blocks_of(random_prompts(np.random.default_rng(1), 30, sizes=(4,), dimensions=3))
    [block] = blocks

    reduced = fit_feature_map(blocks, 100).features(block)

    full = interactions(prompt_vectors(block), block.embeddings)
    ratio = np.linalg.norm(reduced[:, 0] - reduced[:, 1], axis=1) / np.linalg.norm(
        full[:, 0] - full[:, 1], axis=1
    )
    np.testing.assert_allclose(ratio, ratio[0], rtol=1e-6)
    around = reduced - reduced.mean(axis=1, keepdims=True)
    assert (around**2).sum(axis=-1).mean() == pytest.approx(1.0)


def test_the_map_does_not_depend_on_the_order_of_prompts_and_keeps_the_widest_directions() -> None:
    prompts = random_prompts(np.random.default_rng(2), 40, sizes=(2, 5), dimensions=6)

    one = fit_feature_map(blocks_of(prompts), 4)
    other = fit_feature_map(blocks_of(prompts[::-1]), 4)

    np.testing.assert_array_equal(one.basis, other.basis)
    assert one.basis.shape == (13, 4)
    spread = [np.var(one.features(block)[..., 0]) for block in blocks_of(prompts)]
    least = [np.var(one.features(block)[..., 3]) for block in blocks_of(prompts)]
    assert min(spread) > max(least) / 2


def test_a_prompt_without_a_vector_has_its_responses_mean() -> None:
    prompts = random_prompts(np.random.default_rng(3), 5, sizes=(3,), dimensions=6)
    [bare] = blocks_of(prompts)
    own = [replace(each, prompt_embedding=np.eye(6, dtype=np.float32)[0]) for each in prompts]
    [block] = blocks_of(own)

    mean = bare.embeddings.mean(axis=1)
    lengths = np.linalg.norm(mean, axis=1, keepdims=True)
    np.testing.assert_allclose(prompt_vectors(bare), mean / lengths, atol=1e-6)
    np.testing.assert_array_equal(prompt_vectors(block), np.tile(np.eye(6)[0], (5, 1)))


def test_responses_that_are_all_the_same_still_have_features() -> None:
    prompts = [
        replace(each, embeddings=unit(np.ones((3, 6))))
        for each in random_prompts(np.random.default_rng(4), 5, sizes=(3,), dimensions=6)
    ]
    blocks = blocks_of(prompts)

    assert np.isfinite(fit_feature_map(blocks).features(blocks[0])).all()


def test_without_prompts_there_is_no_map() -> None:
    with pytest.raises(ValueError, match="no prompts"):
        fit_feature_map([])
