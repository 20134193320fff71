"""The strategies that need a model, against their definitions."""

from dataclasses import replace

import numpy as np

from app.selection.candidates import PromptCandidate, blocks_of
from app.selection.model.posterior import Posterior
from app.selection.model.preference import PreferenceModel
from app.selection.strategies import bald_coverage, optimistic, uncertain
from tests.selection.candidate_samples import (
    prompt_sequence,
    random_prompts,
    rankings,
    unit,
)
from tests.selection.models import fitted_model


def _certain(model: PreferenceModel) -> PreferenceModel:
    """The same rewards, with almost no doubt left."""
    posterior = model.posterior
    sure = Posterior(posterior.mean, np.eye(len(posterior.mean)) * 1e12)
    return replace(model, posterior=sure)


def test_rank_one_updates_agree_with_the_inverse_computed_afresh() -> None:
    rng = np.random.default_rng(0)
    vectors, weights = rng.standard_normal((50, 8)), rng.random(50) / 4
    precision = 2.0 * np.eye(8)
    half = vectors @ np.linalg.inv(precision)
    variances = (half * vectors).sum(axis=1)
    for best in (3, 17, 3, 40):
        half, variances = uncertain.rank_one_update(
            half, variances, vectors, best, float(weights[best])
        )
        precision += weights[best] * np.outer(vectors[best], vectors[best])

        np.testing.assert_allclose(half, vectors @ np.linalg.inv(precision), atol=1e-10)
        np.testing.assert_allclose(variances, (half * vectors).sum(axis=1), atol=1e-10)


def test_a_greedy_batch_takes_each_next_pair_as_if_those_before_were_labelled() -> None:
    rng = np.random.default_rng(1)
    vectors, weights = rng.standard_normal((30, 6)), rng.random(30) / 4
    precision, expected = np.eye(6), list[int]()
    for _ in range(10):
        spread = ((vectors @ np.linalg.inv(precision)) * vectors).sum(axis=1) * weights
        spread[expected] = -np.inf
        expected.append(int(spread.argmax()))
        precision += weights[expected[-1]] * np.outer(vectors[expected[-1]], vectors[expected[-1]])

    assert expected == uncertain.greedy(np.eye(6), vectors, weights, 10).tolist()


def test_a_greedy_batch_does_not_ask_the_same_thing_twice() -> None:
    twins = np.repeat(np.eye(3), 2, axis=0) * np.array([[3.0], [3.0], [2.0], [2.0], [1.0], [1.0]])

    chosen = uncertain.greedy(np.eye(3) * 10, twins, np.full(6, 0.25), 3)

    assert len({place // 2 for place in chosen.tolist()}) == 3


def test_bald_is_nothing_where_draws_agree_and_most_where_they_contradict() -> None:
    probabilities = np.array([[0.5, 0.5], [0.9, 0.9], [0.9, 0.1], [1.0, 0.0]])

    scores = bald_coverage.disagreement(probabilities)

    np.testing.assert_allclose(scores[[0, 1, 3]], [0, 0, np.log(2)], atol=1e-10)
    assert 0 < scores[2] < scores[3]


def test_bald_coverage_goes_far_from_the_labelled_prompts() -> None:
    responses = unit(np.random.default_rng(2).standard_normal((3, 6)))
    own = unit(np.array([[1.0, 0, 0, 0, 0, 0], [0.99, 0.1, 0, 0, 0, 0], [0, 0, 1.0, 0, 0, 0]]))
    prompts = [
        PromptCandidate(number + 1, range(10 * number, 10 * number + 3), responses)
        for number in range(3)
    ]
    prompts = [
        replace(each, prompt_embedding=vector) for each, vector in zip(prompts, own, strict=True)
    ]
    model = replace(fitted_model(blocks_of(prompts)), labelled_prompts=own[:1])

    assert prompt_sequence("bald-coverage", prompts, model=_certain(model)) == [3, 2, 1]


def test_gap_takes_the_widest_predicted_gap() -> None:
    prompts = random_prompts(np.random.default_rng(3), 30, sizes=(2, 4, 7))
    blocks = blocks_of(prompts)
    model = fitted_model(blocks)

    found = rankings("gap", prompts, model=model)

    for block in blocks:
        rewards = model.mean_rewards(block)
        for row, prompt_id in enumerate(block.prompt_ids):
            ids = block.response_ids[row]
            ends = sorted((int(ids[rewards[row].argmax()]), int(ids[rewards[row].argmin()])))
            assert tuple(ends) == found[int(prompt_id)][0]


def test_optimistic_without_doubt_is_the_best_against_the_worst() -> None:
    prompts = random_prompts(np.random.default_rng(4), 30, sizes=(3, 6))
    model = _certain(fitted_model(blocks_of(prompts)))

    first = {key: value[0] for key, value in rankings("optimistic", prompts, model=model).items()}

    assert first == {key: value[0] for key, value in rankings("gap", prompts, model=model).items()}
    assert optimistic.KAPPA > 0


def test_thompson_without_doubt_compares_the_best_two() -> None:
    prompts = random_prompts(np.random.default_rng(5), 30, sizes=(3, 6))
    blocks = blocks_of(prompts)
    model = _certain(fitted_model(blocks))

    found = rankings("thompson", prompts, model=model)

    for block in blocks:
        best = np.argsort(-model.mean_rewards(block), axis=1)[:, :2]
        for row, prompt_id in enumerate(block.prompt_ids):
            ids = sorted(block.response_ids[row, best[row]].tolist())
            assert tuple(ids) == found[int(prompt_id)][0]


def test_thompson_in_doubt_draws_anew_with_another_seed() -> None:
    prompts = random_prompts(np.random.default_rng(6), 200, sizes=(6,))
    model = fitted_model(blocks_of(prompts))

    one, other = (rankings("thompson", prompts, seed, model) for seed in (0, 1))

    assert sum(one[key][0] != other[key][0] for key in one) > 40
