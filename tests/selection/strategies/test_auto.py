from dataclasses import replace

import numpy as np

from app.selection.candidates import PromptBlock, PromptCandidate, blocks_of
from app.selection.model.features import FeatureSet, fit_feature_map
from app.selection.model.posterior import Posterior
from app.selection.model.preference import PreferenceModel
from app.selection.registry import STRATEGIES
from app.selection.strategies.auto import (
    FIRST_SIZE,
    MANY_RESPONSES,
    RANDOM_SIZE,
    SIZES,
    group_size,
    order,
)
from app.selection.strategies.random_groups import group_keys
from tests.selection.candidate_samples import unit

DIMENSIONS = 16


def _blocks(*, outliers: int, responses: int = 16, count: int = 60) -> list[PromptBlock]:
    """Prompts whose last responses are outliers: alone, each in a direction of its own."""
    rng = np.random.default_rng(outliers)
    prompts = []
    for number in range(count):
        vectors = 0.25 * rng.standard_normal((responses, DIMENSIONS)) + np.eye(DIMENSIONS)[3]
        if outliers:
            vectors[-outliers:] = rng.standard_normal((outliers, DIMENSIONS))
        ids = range(100 * number, 100 * number + responses)
        key = float(rng.random())
        prompts.append(PromptCandidate(number, ids, unit(vectors), order_key=key))
    return blocks_of(prompts)


def _model(
    blocks: list[PromptBlock], typicality: float, labels: int, *, side: bool = True
) -> PreferenceModel:
    """Of the features only one has a say: how typical a response is."""
    feature_set = FeatureSet.SIDES if side else FeatureSet.VECTORS
    feature_map = fit_feature_map(blocks, 4, feature_set=feature_set)
    mean = np.array([0.0] * 4 + [typicality, 0.0] * side)
    posterior = Posterior(mean, np.eye(len(mean)))
    return PreferenceModel(feature_map, posterior, labels, np.zeros((0, DIMENSIONS)))


def test_until_fifty_labels_are_in_few_responses_are_grouped_and_many_drawn_at_random() -> None:
    few = _blocks(outliers=2, responses=MANY_RESPONSES - 1)
    many = _blocks(outliers=2, responses=MANY_RESPONSES)
    [at_random] = STRATEGIES["random"].order(many, None, np.random.default_rng(0))

    for labels in (None, 49):
        model = None if labels is None else _model(few, 0.0, labels)
        [found] = order(few, model, np.random.default_rng(0))
        np.testing.assert_array_equal(found.pair_keys, group_keys(few[0], FIRST_SIZE))
        model = None if labels is None else _model(many, 0.0, labels)
        [found] = order(many, model, np.random.default_rng(0))
        np.testing.assert_array_equal(found.pair_keys, at_random.pair_keys)


def test_without_labels_four_responses_give_the_widest_pair_first() -> None:
    blocks = _blocks(outliers=0, responses=4)
    [widest] = STRATEGIES["dissimilar"].order(blocks, None, np.random.default_rng(0))
    [found] = order(blocks, None, np.random.default_rng(0))

    np.testing.assert_array_equal(found.pair_keys.argmin(axis=1), widest.pair_keys.argmin(axis=1))


def test_a_model_of_the_vectors_alone_leaves_pairs_random() -> None:
    blocks = _blocks(outliers=2)

    assert group_size(blocks, _model(blocks, 0.0, labels=500, side=False)) == RANDOM_SIZE


def test_where_nothing_is_foregone_groups_are_large() -> None:
    for outliers in (0, 2):
        blocks = _blocks(outliers=outliers)

        assert group_size(blocks, _model(blocks, 0.0, labels=50)) == SIZES[0]


def test_the_more_foregone_wide_pairs_are_the_smaller_the_groups_and_it_ends_at_random() -> None:
    """Each prompt's responses lie on a ray of their own, away from the typical one."""
    rng = np.random.default_rng(3)
    prompts = []
    for number in range(40):
        away = np.linspace(0, 1.5, 8)[:, None] * unit(rng.standard_normal((1, DIMENSIONS)))
        vectors = unit(np.eye(DIMENSIONS)[3] + away)
        prompts.append(PromptCandidate(number, range(10 * number, 10 * number + 8), vectors))
    blocks = blocks_of(prompts)

    sizes = [group_size(blocks, _model(blocks, weight, 400)) for weight in (0.0, 1.0, 2.0, 8.0)]

    assert sizes == sorted(sizes, reverse=True)
    assert sizes[0] == SIZES[0]
    assert sizes[-1] == RANDOM_SIZE


def test_one_size_is_found_for_prompts_of_all_sizes() -> None:
    blocks = [*_blocks(outliers=0, responses=3), *_blocks(outliers=0, responses=16)]
    shifted = replace(blocks[1], prompt_ids=blocks[1].prompt_ids + 1000)
    both = [blocks[0], shifted]

    found = order(both, _model(both, 0.0, labels=400), np.random.default_rng(0))

    for block, one in zip(both, found, strict=True):
        np.testing.assert_array_equal(one.pair_keys, group_keys(block, SIZES[0]))


def test_nothing_to_order_is_no_reason_to_fail() -> None:
    blocks = _blocks(outliers=0)

    assert group_size([], _model(blocks, 0.0, labels=400)) == RANDOM_SIZE
