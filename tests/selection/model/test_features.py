from dataclasses import replace

import numpy as np
import pytest

from app.embedding.style import STYLE_FEATURES
from app.selection.candidates import PromptCandidate, blocks_of
from app.selection.model import features
from app.selection.model.features import (
    MOST_DIRECTIONS,
    MOST_FEATURES,
    SIDE_SIZE,
    SIDE_SIZE_BESIDE_STYLE,
    STYLE_SIZE,
    FeatureSet,
    beside_vectors,
    fit_feature_map,
    interactions,
    prompt_vectors,
)
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


def test_few_responses_of_long_vectors_give_the_map_that_the_covariance_gives(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    prompts = random_prompts(np.random.default_rng(5), 6, sizes=(2, 3), dimensions=20)
    blocks = blocks_of(prompts)
    expected = fit_feature_map(blocks)
    monkeypatch.setattr(features, "_LONG", 10)

    found = fit_feature_map(blocks)

    assert sum(block.response_ids.size for block in blocks) < 41
    np.testing.assert_allclose(found.basis, expected.basis, atol=1e-7)


def test_vectors_of_4096_dimensions_have_features() -> None:
    prompts = random_prompts(np.random.default_rng(6), 5, sizes=(3,), dimensions=4096)
    [block] = blocks_of(prompts)

    reduced = fit_feature_map([block]).features(block)

    assert reduced.shape == (5, 3, 10)
    around = reduced - reduced.mean(axis=1, keepdims=True)
    assert (around**2).sum(axis=-1).mean() == pytest.approx(1.0)


def _with_words(prompts: list[PromptCandidate], seed: int) -> list[PromptCandidate]:
    rng = np.random.default_rng(seed)
    return [
        replace(each, words=rng.integers(0, 300, size=len(each.response_ids)).tolist())
        for each in prompts
    ]


def test_side_features_are_the_mean_similarity_to_the_others_and_the_length() -> None:
    prompts = _with_words(random_prompts(np.random.default_rng(5), 4, sizes=(5,)), 5)
    [block] = blocks_of(prompts)

    found = beside_vectors(block, FeatureSet.SIDES)

    for prompt in prompts:
        row = int(np.flatnonzero(block.prompt_ids == prompt.prompt_id)[0])
        assert prompt.words is not None
        for place, response_id in enumerate(prompt.response_ids):
            column = int(np.flatnonzero(block.response_ids[row] == response_id)[0])
            others = np.delete(prompt.embeddings, place, axis=0)
            typicality = float((others @ prompt.embeddings[place]).mean())
            expected = [typicality, np.log1p(prompt.words[place])]
            np.testing.assert_allclose(found[row, column], expected, atol=1e-6)


def test_two_responses_of_a_prompt_are_as_typical_as_they_are_among_all_of_its_responses() -> None:
    prompts = random_prompts(np.random.default_rng(6), 3, sizes=(6,))
    [block] = blocks_of(prompts)
    whole = beside_vectors(block, FeatureSet.SIDES)[..., 0]

    part = replace(block, embeddings=block.embeddings[:, :2], typicality=whole[:, :2])

    np.testing.assert_array_equal(beside_vectors(part, FeatureSet.SIDES)[..., 0], whole[:, :2])


def test_side_features_join_the_directions_at_a_size_that_is_the_same_on_all_data() -> None:
    prompts = _with_words(random_prompts(np.random.default_rng(7), 40, sizes=(3, 6)), 7)
    blocks = blocks_of(prompts)

    plain = fit_feature_map(blocks, 5)
    joined = fit_feature_map(blocks, 5, feature_set=FeatureSet.SIDES)

    spread = []
    for block in blocks:
        features = joined.features(block)
        np.testing.assert_allclose(features[..., :5], plain.features(block))
        spread.append(features[..., 5:].var(axis=1))
    np.testing.assert_allclose(np.concatenate(spread).mean(axis=0), SIDE_SIZE**2)


def test_what_does_not_vary_has_no_say() -> None:
    blocks = blocks_of(random_prompts(np.random.default_rng(8), 10, sizes=(2,)))

    features = fit_feature_map(blocks, 5, feature_set=FeatureSet.SIDES).features(blocks[0])

    np.testing.assert_array_equal(features[..., 5:], 0.0)


def _with_style(prompts: list[PromptCandidate], seed: int) -> list[PromptCandidate]:
    rng = np.random.default_rng(seed)
    return [replace(each, style=3 * rng.random((len(each.response_ids), 4))) for each in prompts]


def test_with_style_each_of_its_features_has_its_size_too() -> None:
    blocks = blocks_of(_with_style(random_prompts(np.random.default_rng(7), 40, sizes=(3, 6)), 7))

    joined = fit_feature_map(blocks, 5, feature_set=FeatureSet.STYLE)

    assert joined.size == 5 + 1 + 4
    spread = [joined.features(block)[..., 5:].var(axis=1) for block in blocks]
    sizes = [SIDE_SIZE_BESIDE_STYLE] * 2 + [STYLE_SIZE] * 3
    np.testing.assert_allclose(np.sqrt(np.concatenate(spread).mean(axis=0)), sizes)


def test_style_says_nothing_about_a_prompt_in_which_a_response_is_without_it() -> None:
    prompts = _with_style(random_prompts(np.random.default_rng(7), 20, sizes=(3,)), 7)
    feature_map = fit_feature_map(blocks_of(prompts), 5, feature_set=FeatureSet.STYLE)
    style = np.array(prompts[4].style)
    style[1] = np.nan
    prompts[4] = replace(prompts[4], style=style)

    [block] = blocks_of(prompts)
    features = feature_map.features(block)

    row = block.prompt_ids.tolist().index(prompts[4].prompt_id)
    assert np.isfinite(features).all()
    assert (features[row, :, 6:].std(axis=0) == 0).all()
    assert (np.delete(features, row, axis=0)[:, :, 6:].std(axis=1) > 0).all()
    assert features[row, :, 5].std() > 0


@pytest.mark.parametrize("feature_set", FeatureSet)
def test_rewards_are_the_weighted_features(feature_set: FeatureSet) -> None:
    rng = np.random.default_rng(9)
    prompts = _with_style(_with_words(random_prompts(rng, 20, sizes=(4, 7)), 9), 9)
    blocks = blocks_of(prompts)
    feature_map = fit_feature_map(blocks, 6, feature_set=feature_set)
    weights = rng.standard_normal(feature_map.size)

    for block in blocks:
        expected = feature_map.features(block) @ weights
        np.testing.assert_allclose(feature_map.rewards(block, weights), expected, atol=1e-6)


def test_without_prompts_there_is_no_map() -> None:
    with pytest.raises(ValueError, match="no prompts"):
        fit_feature_map([])


def test_the_planner_knows_how_many_features_there_are_at_most() -> None:
    assert MOST_DIRECTIONS + 1 + len(STYLE_FEATURES) == MOST_FEATURES
