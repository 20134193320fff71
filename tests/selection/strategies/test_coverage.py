from dataclasses import replace

import numpy as np

from app.selection.strategies.coverage import facility_order
from tests.selection.candidate_samples import prompt_sequence, random_prompts, rankings, unit


def test_each_prompt_adds_the_most_to_the_coverage_of_those_before() -> None:
    vectors = unit(np.random.default_rng(0).standard_normal((40, 5))).astype(np.float64)
    similar = np.maximum(vectors @ vectors.T, 0)

    sequence = facility_order(vectors).tolist()

    assert sorted(sequence) == list(range(40))
    for step, chosen in enumerate(sequence[:20]):
        before = similar[sequence[:step]].max(axis=0, initial=0.0)
        gains = [np.maximum(similar[place], before).sum() for place in range(40)]
        assert gains[chosen] >= max(gains) - 1e-5


def test_one_of_each_cluster_of_prompts_comes_before_anybodys_second() -> None:
    rng = np.random.default_rng(1)
    prompts = random_prompts(rng, 12, sizes=(3,))
    centres = np.eye(8)[:3]
    placed = [
        replace(each, prompt_embedding=unit(centres[[number % 3]] + 0.05 * rng.random((1, 8)))[0])
        for number, each in enumerate(prompts)
    ]
    cluster = {each.prompt_id: number % 3 for number, each in enumerate(placed)}

    sequence = prompt_sequence("coverage", placed)

    assert {cluster[prompt_id] for prompt_id in sequence[:3]} == {0, 1, 2}
    assert rankings("dissimilar", placed) == rankings("coverage", placed)
