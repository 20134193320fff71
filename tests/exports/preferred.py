"""Preferred pairs, as recipes take them."""

from typing import Any

from app.exports.aggregate import Answer, Preference
from app.exports.pairs import Candidate, JudgedPrompt, LabelledPair, PreferredPair


def preferred_pair(
    prompt: Any = "Explain DPO.", *, prefers_first: bool = False, **facts: Any
) -> PreferredPair:
    """A pair of which one label prefers one response, with every fact about it told."""
    pair = LabelledPair(
        prompt_id=1,
        prompt_external_id="p",
        prompt=prompt,
        group_id=1,
        pair_id=5,
        first=Candidate(10, "p-a", "the first text"),
        second=Candidate(11, "p-b", "the second text"),
        answers=(Answer(10 if prefers_first else 11, 2),),
        both_bad=0,
        similarity=0.5,
        arm="exploration",
        strategy="random",
        propensity=1 / 6,
    )
    preferred_id = pair.answers[0].preferred_response_id
    assert preferred_id is not None
    preference = Preference(
        preferred_id, labels=1, agreement=1.0, strength=2.0, confidence=1.0, evidence=1.0
    )
    return PreferredPair(pair, preference, **facts)


def judged_prompt(*preferred: PreferredPair, **facts: Any) -> JudgedPrompt:
    """A prompt of these pairs; the rewards of its responses are those of the pairs."""
    rewards = {}
    for each in preferred:
        rewards[each.chosen.response_id] = each.reward_chosen
        rewards[each.rejected.response_id] = each.reward_rejected
    return JudgedPrompt(
        pairs=tuple(each.pair for each in preferred),
        **{"preferred": preferred, "disliked": (), "rewards": rewards, "rank": 1, **facts},
    )
