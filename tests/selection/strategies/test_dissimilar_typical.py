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


def test_an_outlier_is_left_for_last() -> None:
    rng = np.random.default_rng(3)
    vectors = rng.standard_normal((14, 16)) * 0.3 + np.eye(16)[0]
    vectors[5] = -np.eye(16)[0]
    prompt = PromptCandidate(1, range(14), unit(vectors))

    ranked = rankings("dissimilar-typical", [prompt])[1]
    assert all(5 not in pair for pair in ranked[:21])
    assert 5 in rankings("dissimilar", [prompt])[1][0]
