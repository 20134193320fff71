"""What holds for every strategy of the registry."""

import itertools
from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from app.selection.candidates import PromptCandidate, blocks_of
from app.selection.registry import STRATEGIES
from tests.selection.candidate_samples import prompt_sequence, random_prompts, rankings
from tests.selection.models import fitted_model

SEEDS = st.integers(0, 2**32 - 1)
GEOMETRIC = (
    "dissimilar",
    "dissimilar-typical",
    "auto",
    "dissimilar-global",
    "similar",
    "centroid",
    "coverage",
)
LEARNING = [name for name, strategy in STRATEGIES.items() if strategy.learns]
every_strategy = pytest.mark.parametrize("name", STRATEGIES)
every_learning_strategy = pytest.mark.parametrize("name", LEARNING)


def _prompts(seed: int) -> list[PromptCandidate]:
    return random_prompts(np.random.default_rng(seed), 12, sizes=(2, 3, 4, 7, 14))


def _shuffled(prompt: PromptCandidate, rng: np.random.Generator) -> PromptCandidate:
    order = rng.permutation(len(prompt.response_ids))
    return replace(
        prompt,
        response_ids=[prompt.response_ids[place] for place in order],
        embeddings=prompt.embeddings[order],
    )


@every_strategy
@given(seed=SEEDS)
@settings(max_examples=20, deadline=None)
def test_a_ranking_holds_every_pair_of_the_prompt_once(name: str, seed: int) -> None:
    prompts = _prompts(seed)

    found = rankings(name, prompts)

    assert found.keys() == {prompt.prompt_id for prompt in prompts}
    for prompt in prompts:
        every_pair = sorted(itertools.combinations(sorted(prompt.response_ids), 2))
        assert every_pair == sorted(found[prompt.prompt_id])


@every_strategy
@given(seed=SEEDS)
@settings(max_examples=20, deadline=None)
def test_the_order_of_prompts_and_of_responses_changes_nothing(name: str, seed: int) -> None:
    prompts = _prompts(seed)
    rng = np.random.default_rng(seed + 1)
    swapped = [_shuffled(prompts[place], rng) for place in rng.permutation(len(prompts))]

    assert rankings(name, prompts) == rankings(name, swapped)


@every_strategy
def test_the_company_of_other_prompts_changes_nothing_within_a_prompt(name: str) -> None:
    prompts = _prompts(3)

    together = rankings(name, prompts)
    alone = [rankings(name, [prompt]) for prompt in prompts]

    assert together == {key: value for one in alone for key, value in one.items()}


@pytest.mark.parametrize("name", GEOMETRIC)
@given(seed=SEEDS)
@settings(max_examples=20, deadline=None)
def test_turning_the_space_of_embeddings_changes_no_geometric_choice(name: str, seed: int) -> None:
    prompts = _prompts(seed)
    turn, _ = np.linalg.qr(np.random.default_rng(seed).standard_normal((8, 8)))
    turned = [
        replace(prompt, embeddings=(prompt.embeddings.astype(np.float64) @ turn))
        for prompt in prompts
    ]
    exact = [replace(prompt, embeddings=prompt.embeddings.astype(np.float64)) for prompt in prompts]

    firsts = {key: value[0] for key, value in rankings(name, exact).items()}

    assert firsts == {key: value[0] for key, value in rankings(name, turned).items()}


@every_strategy
def test_two_responses_give_the_one_pair(name: str) -> None:
    prompts = random_prompts(np.random.default_rng(0), 20, sizes=(2,))

    found = rankings(name, prompts)

    assert found == {prompt.prompt_id: [tuple(sorted(prompt.response_ids))] for prompt in prompts}


@pytest.mark.parametrize("name", [name for name in GEOMETRIC if name != "auto"])
@pytest.mark.parametrize("size", [5, 13])
def test_equal_keys_are_ordered_by_id(name: str, size: int) -> None:
    prompt = PromptCandidate(
        prompt_id=1,
        response_ids=list(range(size, 0, -1)),
        embeddings=np.tile(np.array([[0.6, 0.8]]), (size, 1)),
    )

    assert rankings(name, [prompt])[1] == list(itertools.combinations(range(1, size + 1), 2))


@every_strategy
def test_the_registry_knows_a_strategy_by_its_name_and_describes_it_in_a_line(name: str) -> None:
    strategy = STRATEGIES[name]

    assert strategy.name == name
    assert strategy.description
    assert "\n" not in strategy.description


@pytest.mark.parametrize("name", [name for name in LEARNING if name != "auto"])
def test_a_model_strategy_behaves_as_dissimilar_until_fifty_labels_are_in(name: str) -> None:
    prompts = _prompts(11)
    blocks = blocks_of(prompts)

    for early in (None, fitted_model(blocks, labels=49)):
        assert rankings("dissimilar", prompts) == rankings(name, prompts, model=early)
        assert prompt_sequence("dissimilar", prompts) == prompt_sequence(name, prompts, model=early)

    model = fitted_model(blocks, labels=50)
    assert rankings("dissimilar", prompts) != rankings(name, prompts, model=model)


@every_learning_strategy
@given(seed=SEEDS)
@settings(max_examples=10, deadline=None)
def test_with_a_model_a_ranking_holds_every_pair_once_whatever_the_order_of_the_input(
    name: str, seed: int
) -> None:
    prompts = _prompts(seed)
    model = fitted_model(blocks_of(prompts))
    rng = np.random.default_rng(seed + 1)
    swapped = [_shuffled(prompts[place], rng) for place in rng.permutation(len(prompts))]

    found = rankings(name, prompts, model=model)

    assert found == rankings(name, swapped, model=model)
    assert prompt_sequence(name, prompts, model=model) == prompt_sequence(
        name, swapped, model=model
    )
    for prompt in prompts:
        every_pair = sorted(itertools.combinations(sorted(prompt.response_ids), 2))
        assert every_pair == sorted(found[prompt.prompt_id])


@every_strategy
def test_keys_of_prompts_lie_below_one_so_that_rounds_never_mix(name: str) -> None:
    prompts = _prompts(12)
    blocks = blocks_of(prompts)

    orders = STRATEGIES[name].order(blocks, fitted_model(blocks), np.random.default_rng(0))

    keys = np.concatenate([order.prompt_keys for order in orders])
    assert ((keys >= 0) & (keys < 1)).all()


@every_strategy
def test_nothing_to_choose_from_gives_no_order(name: str) -> None:
    model = fitted_model(blocks_of(_prompts(13)))

    assert STRATEGIES[name].order([], model, np.random.default_rng(0)) == []
