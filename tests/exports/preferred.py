"""Preferred pairs, as recipes take them."""

from typing import Any

from app.exports.aggregate import Answer, Preference
from app.exports.pairs import Candidate, LabelledPair, PreferredPair


def preferred_pair(prompt: Any = "Explain DPO.", *, prefers_first: bool = False) -> PreferredPair:
    """A pair of which one label prefers one response, with every fact about it told."""
    pair = LabelledPair(
        prompt_id=1,
        prompt_external_id="p",
        prompt=prompt,
        group_id=1,
        first=Candidate(10, "p-a", "the first text"),
        second=Candidate(11, "p-b", "the second text"),
        answers=(Answer(10 if prefers_first else 11, 2),),
        similarity=0.5,
        arm="exploration",
        strategy="random",
        propensity=1 / 6,
    )
    preferred_id = pair.answers[0].preferred_response_id
    assert preferred_id is not None
    return PreferredPair(pair, Preference(preferred_id, labels=1, agreement=1.0, strength=2.0))
