import itertools

import numpy as np
from numpy.typing import NDArray

from app.selection.candidates import PromptCandidate
from tests.selection.candidate_samples import random_prompts, rankings, unit

Vectors = NDArray[np.float64]


def _typical(vectors: Vectors, share: float) -> list[int]:
    cosines = vectors @ vectors.T
    mean = [np.delete(cosines[place], place).mean() for place in range(len(vectors))]
    least = np.quantile(mean, 1 - share)
    return [place for place, value in enumerate(mean) if value >= least - 1e-6]


def _expected(prompt: PromptCandidate, share: float) -> tuple[int, int]:
    order = np.argsort(prompt.response_ids)
    vectors = prompt.embeddings[order].astype(np.float64)
    pairs = itertools.combinations(_typical(vectors, share), 2)
    first, second = min(pairs, key=lambda pair: float(vectors[pair[0]] @ vectors[pair[1]]))
    ids = np.array(prompt.response_ids)[order]
    return int(ids[first]), int(ids[second])


def test_the_first_pair_is_the_most_different_of_the_typical_half() -> None:
    prompts = random_prompts(np.random.default_rng(0), 1000, sizes=(2, 3, 5, 9, 20), dimensions=16)

    found = {key: value[0] for key, value in rankings("dissimilar-typical", prompts).items()}

    assert found == {prompt.prompt_id: _expected(prompt, 0.5) for prompt in prompts}


def test_auto_takes_turns_between_both_rules_with_few_responses() -> None:
    prompts = random_prompts(np.random.default_rng(1), 1000, sizes=(5, 8, 11), dimensions=16)
    dissimilar = rankings("dissimilar", prompts)

    found = rankings("auto", prompts)

    by_first = {True: 0, False: 0}
    for prompt in prompts:
        one, other = dissimilar[prompt.prompt_id][0], _expected(prompt, 0.75)
        first, second = found[prompt.prompt_id][:2]
        if one == other:
            assert first == one
            continue
        assert {first, second} == {one, other}
        by_first[first == one] += 1
    assert 0.8 < by_first[True] / by_first[False] < 1.25


def test_auto_takes_the_typical_half_of_many_responses() -> None:
    prompts = random_prompts(np.random.default_rng(2), 50, sizes=(12, 40), dimensions=16)

    assert rankings("dissimilar-typical", prompts) == rankings("auto", prompts)


def test_a_freak_is_left_for_last() -> None:
    rng = np.random.default_rng(3)
    vectors = rng.standard_normal((14, 16)) * 0.3 + np.eye(16)[0]
    vectors[5] = -np.eye(16)[0]
    prompt = PromptCandidate(1, range(14), unit(vectors))

    for name in ("dissimilar-typical", "auto"):
        ranked = rankings(name, [prompt])[1]
        assert all(5 not in pair for pair in ranked[:21])
    assert 5 in rankings("dissimilar", [prompt])[1][0]


def test_auto_is_dissimilar_with_two_or_three_responses() -> None:
    prompts = random_prompts(np.random.default_rng(4), 50, sizes=(2, 3), dimensions=16)

    assert rankings("dissimilar", prompts) == rankings("auto", prompts)
