"""What each recipe makes of a pair or a prompt."""

from dataclasses import replace
from itertools import pairwise
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from app.exports.aggregate import Answer
from app.exports.pairs import Candidate, LabelledPair, PreferredPair
from app.exports.recipe import Layout
from app.exports.recipes import RECIPES
from app.exports.recipes.reward_augmented import goal_of
from tests.exports.preferred import judged_prompt, preferred_pair

Rows = list[dict[str, Any]]
SYSTEM = [{"role": "system", "content": "Be brief."}, {"role": "user", "content": "Why?"}]
WON, LOST = "the second text", "the first text"


def _rows(recipe: str, subject: Any, layout: Layout = Layout.STANDARD) -> Rows:
    return list(RECIPES[recipe].rows(subject, layout))


def _pair(winner: int, loser: int, text: str | None = None, **facts: Any) -> PreferredPair:
    """``winner`` is preferred to ``loser``; their texts are their numbers."""
    first, second = sorted((winner, loser))
    plain = preferred_pair()
    pair = replace(
        plain.pair,
        pair_id=100 * first + second,
        first=Candidate(first, None, f"text {first}"),
        second=Candidate(second, None, f"text {second}"),
        answers=(Answer(winner, None),),
    )
    return PreferredPair(pair, replace(plain.preference, preferred_response_id=winner), **facts)


def test_kto_labels_a_response_by_its_wins_less_its_losses_and_never_both_ways() -> None:
    prompt = judged_prompt(_pair(1, 2), _pair(2, 3), _pair(1, 3))

    labels = [(row["completion"], row["label"]) for row in _rows("kto", prompt)]

    assert labels == [("text 1", True), ("text 3", False)]


def test_kto_holds_both_bad_against_both() -> None:
    disliked = (_pair(1, 2).pair,)
    prompt = judged_prompt(_pair(3, 4), disliked=disliked)
    prompt = replace(prompt, pairs=(*prompt.pairs, *disliked))

    labels = {row["completion"]: row["label"] for row in _rows("kto", prompt)}

    assert labels == {"text 1": False, "text 2": False, "text 3": True, "text 4": False}


@pytest.mark.parametrize("recipe", ["reward", "openrlhf"])
def test_a_margin_is_given_as_it_is(recipe: str) -> None:
    (row,) = _rows(recipe, preferred_pair(margin=1.5))

    assert row == {"prompt": "Explain DPO.", "chosen": WON, "rejected": LOST, "margin": 1.5}


def test_rdo_weighs_by_the_difference_of_the_rewards_over_the_mean() -> None:
    (row,) = _rows("rdo", preferred_pair(reward_chosen=1.0, reward_rejected=0.0, mean_weight=0.5))

    assert row["weight"] == pytest.approx(1.462117, abs=1e-6)
    assert (row["reward_chosen"], row["reward_rejected"]) == (1.0, 0.0)


def test_rdo_weights_stay_positive_where_the_rewards_contradict_the_labels() -> None:
    (row,) = _rows("rdo", preferred_pair(reward_chosen=-3.0, reward_rejected=3.0))

    assert 0 < row["weight"] < 0.01


def test_reward_augmented_keeps_the_order_for_the_better_goal_and_swaps_it_for_the_other() -> None:
    pair = preferred_pair(reward_chosen=1.25, reward_rejected=-0.5)

    kept, swapped = _rows("reward-augmented", pair, Layout.CONVERSATIONAL)

    for row, goal, chosen, rejected in (
        (kept, goal_of(1.25), WON, LOST),
        (swapped, goal_of(-0.5), LOST, WON),
    ):
        system, asked = row["prompt"]
        assert system["role"] == "system"
        assert f": {goal:.2f}." in system["content"]
        assert asked == {"role": "user", "content": "Explain DPO."}
        assert [each["content"] for each in row["chosen"]] == [chosen]
        assert [each["content"] for each in row["rejected"]] == [rejected]
        scores = row["overall_score_chosen"], row["overall_score_rejected"]
        assert scores[0] == goal
        # R(x, y, g) = −(g − r)²: the chosen is the better by it.
        assert -((goal - scores[0]) ** 2) > -((goal - scores[1]) ** 2)


def test_goals_are_from_1_to_10() -> None:
    assert goal_of(0) == pytest.approx(5.5)
    assert goal_of(1) == pytest.approx(1 + 9 * 0.841345, abs=1e-5)
    assert (goal_of(-9), goal_of(9)) == pytest.approx((1, 10))


def test_reward_augmented_joins_the_goal_and_a_system_turn_that_is_there() -> None:
    pair = replace(preferred_pair(SYSTEM), reward_chosen=1.0)

    first, _ = _rows("reward-augmented", pair, Layout.CONVERSATIONAL)

    assert [turn["role"] for turn in first["prompt"]] == ["system", "user"]
    assert first["prompt"][0]["content"].endswith("8.57.\n\nBe brief.")


@pytest.mark.parametrize(("chosen", "rejected"), [(1.0, 1.0), (-1.0, 1.0), (0.001, 0.0)])
def test_reward_augmented_leaves_out_goals_that_say_nothing(chosen: float, rejected: float) -> None:
    pair = preferred_pair(reward_chosen=chosen, reward_rejected=rejected)

    assert _rows("reward-augmented", pair) == []


def test_a_ranking_falls_strictly_with_a_prefix_for_each() -> None:
    pairs = [
        _pair(1, 2, reward_chosen=0.5, reward_rejected=0.1),
        _pair(4, 3, reward_chosen=0.9, reward_rejected=0.1),
    ]

    (row,) = _rows("ranking", judged_prompt(*pairs))

    assert row["suffix"] == ["text 4", "text 1", "text 2", "text 3"]
    assert row["reward"] == [0.9, 0.5, 0.1, 0.0]
    assert row["prefix"] == [["<|prompter|>Explain DPO.", "<|assistant|>"]] * 4
    assert row["sft_index"] == 0
    assert row["meta"] == {
        "prompt_id": "prm_0000000000001",
        "prompt_external_id": "p",
        "roles": None,
    }


def _ranking(*pairs: PreferredPair, rewards: dict[int, float]) -> tuple[list[int], list[float]]:
    (row,) = _rows("ranking", judged_prompt(*pairs, rewards=rewards))
    assert all(better > worse for better, worse in pairwise(row["reward"]))
    return [int(text.removeprefix("text ")) for text in row["suffix"]], row["reward"]


def test_a_ranking_breaks_ties_one_step_apart() -> None:
    order, reward = _ranking(_pair(2, 1), rewards={1: 0.5, 2: 0.5})

    assert (order, reward) == ([2, 1], [0.5, 0.4])


def test_a_ranking_contradicts_no_label_whatever_the_rewards_say() -> None:
    order, reward = _ranking(_pair(1, 2), _pair(2, 3), rewards={1: -1.0, 2: 0.0, 3: 1.0, 4: 0.25})

    assert order == [1, 2, 3]
    assert reward == [0.0, -0.1, -0.2]


def test_a_ranking_takes_by_reward_what_labels_leave_open() -> None:
    tied = _pair(4, 3)
    prompt = judged_prompt(_pair(1, 2), rewards={1: 0.2, 2: 0.1, 3: 0.9, 4: 0.15})
    prompt = replace(prompt, pairs=(*prompt.pairs, tied.pair))

    (row,) = _rows("ranking", prompt)

    assert row["suffix"] == ["text 3", "text 1", "text 4", "text 2"]
    assert row["reward"] == [0.9, 0.2, 0.15, 0.1]


@given(
    ranking=st.permutations(range(1, 6)),
    rewards=st.lists(st.floats(-2, 2), min_size=5, max_size=5),
    places=st.sets(st.tuples(st.integers(0, 4), st.integers(0, 4)).filter(lambda p: p[0] < p[1]),
                   min_size=1),
)  # fmt: skip
def test_any_ranking_falls_strictly_in_the_order_of_its_labels(
    ranking: list[int], rewards: list[float], places: set[tuple[int, int]]
) -> None:
    pairs = [_pair(ranking[better], ranking[worse]) for better, worse in sorted(places)]

    order, _ = _ranking(*pairs, rewards=dict(enumerate(rewards, start=1)))

    for better, worse in places:
        assert order.index(ranking[better]) < order.index(ranking[worse])


def test_a_ranking_of_one_response_is_none() -> None:
    assert _rows("ranking", judged_prompt(_pair(1, 2), rewards={1: 0.5})) == []


def test_axolotl_gets_no_space_around_a_text() -> None:
    pair = _pair(1, 2)
    first = replace(pair.pair.first, text=" text 1\n")

    (row,) = _rows("axolotl", replace(pair, pair=replace(pair.pair, first=first)))

    assert row["chosen"] == {"role": "assistant", "content": "text 1"}


def test_regenerate_tells_the_best_reward_and_the_rank() -> None:
    pair = _pair(1, 2, reward_chosen=0.5, reward_rejected=-0.5)

    (row,) = _rows("regenerate", judged_prompt(pair, rank=7))

    assert row == {
        "prompt": "Explain DPO.",
        "prompt_id": "prm_0000000000001",
        "best_reward": 0.5,
        "rank": 7,
    }


def test_optune_tells_the_gap_with_its_sign() -> None:
    (row,) = _rows("optune", preferred_pair(reward_chosen=-0.25, reward_rejected=0.5))

    assert row["reward_gap"] == -0.75


def test_self_exploring_wants_the_prompts_reference() -> None:
    plain = preferred_pair()
    with_reference = replace(plain, pair=replace(plain.pair, reference="ours"))

    assert _rows("self-exploring", plain) == []
    (row,) = _rows("self-exploring", with_reference, Layout.CONVERSATIONAL)
    assert row["reference_response"] == [{"role": "assistant", "content": "ours"}]


def _with_metadata(chosen: Any, rejected: Any) -> PreferredPair:
    plain = preferred_pair()
    pair = replace(
        plain.pair,
        first=replace(plain.pair.first, metadata=rejected),
        second=replace(plain.pair.second, metadata=chosen),
    )
    return replace(plain, pair=pair)


def test_contrastive_rewards_are_differences_of_log_probabilities() -> None:
    (row,) = _rows(
        "contrastive",
        _with_metadata(
            {"logprob_safe": -40.0, "logprob_unsafe": -50.5, "more": 1},
            {"logprob_safe": -30, "logprob_unsafe": -28},
        ),
    )

    assert (row["reward_safe"], row["reward_not_safe"], row["margin"]) == (10.5, -2.0, 12.5)
    assert (row["chosen"], row["rejected"]) == (WON, LOST)


@pytest.mark.parametrize(
    "metadata",
    [
        None,
        {"logprob_safe": -1.0},
        {"logprob_safe": -1.0, "logprob_unsafe": None},
        {"logprob_safe": "-1", "logprob_unsafe": -2.0},
        {"logprob_safe": True, "logprob_unsafe": -2.0},
    ],
)
def test_contrastive_leaves_out_a_pair_without_both_numbers_of_both(metadata: Any) -> None:
    good = {"logprob_safe": -1.0, "logprob_unsafe": -2.0}

    assert _rows("contrastive", _with_metadata(good, metadata)) == []
    assert _rows("contrastive", _with_metadata(metadata, good)) == []


def _edited(answers: tuple[Answer, ...], edits: tuple[str | None, ...]) -> PreferredPair:
    plain = preferred_pair()
    pair: LabelledPair = replace(plain.pair, answers=answers, edits=edits)
    return replace(plain, pair=pair)


def test_bridged_compares_the_first_edit_by_somebody_who_agrees_with_what_was_edited() -> None:
    answers = (Answer(10, None), Answer(11, None), Answer(11, None), Answer(11, None))
    pair = _edited(answers, ("of the other", None, "better", "later"))

    assert _rows("bridged", pair) == [
        {"prompt": "Explain DPO.", "chosen": "better", "rejected": WON}
    ]


def test_bridged_prefers_the_rejected_response_brought_nearer() -> None:
    answers = (Answer(10, None), Answer(11, None), Answer(11, None))
    pair = _edited(answers, (None, "better", None))
    pair.pair.edits_of_rejected = ("of the other", None, "nearer")
    assert _rows("bridged", pair) == [
        {"prompt": "Explain DPO.", "chosen": "nearer", "rejected": LOST}
    ]
    # What says nothing new is no edit.
    pair.pair.edits_of_rejected = ("of the other", None, f"{WON} ")
    assert _rows("bridged", pair) == [
        {"prompt": "Explain DPO.", "chosen": "better", "rejected": WON}
    ]


def test_tpo_puts_the_edit_above_both() -> None:
    pair = _edited((Answer(11, None),), ("better",))
    texts = {"chosen": WON, "rejected": LOST, "reference": "better"}

    assert _rows("tpo", pair) == [{"prompt": "Explain DPO.", **texts}]


@pytest.mark.parametrize("recipe", ["bridged", "tpo"])
@pytest.mark.parametrize("edit", [None, " ", f" {LOST}\n", WON])
def test_an_edit_that_is_none_gives_no_row(recipe: str, edit: str | None) -> None:
    assert _rows(recipe, _edited((Answer(11, None),), (edit,))) == []


def test_a_confidence_is_given_to_six_digits() -> None:
    (row,) = _rows("confidence", preferred_pair(confidence=2 / 3))
    assert row["confidence"] == 0.666667


def test_ties_come_after_the_preferences_of_their_prompt() -> None:
    prompt = judged_prompt(_pair(2, 1), tied=(_pair(1, 3).pair,))

    assert _rows("ties", prompt) == [
        {"prompt": "Explain DPO.", "chosen": "text 2", "rejected": "text 1", "tie": False},
        {"prompt": "Explain DPO.", "chosen": "text 1", "rejected": "text 3", "tie": True},
    ]
