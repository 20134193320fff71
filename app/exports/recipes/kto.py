"""Responses that are good or bad, each by itself: KTO (arXiv 2402.01306).

One row a response: ``prompt`` x, ``completion`` y, ``label`` (desirable or not), for
λ_y − v(x, y), v = λ_D σ(β(r − z₀)) where the label is true, λ_U σ(β(z₀ − r)) where it is false,
with r = log π(y|x)/π_ref(y|x). Trainer: TRL's KTOTrainer.

A response's votes are the preferences for it less those against it; a pair that most labels call
bad on both sides counts against both. More for than against is true, more against is false, as many
is no row: so no response is ever both.
"""

from collections.abc import Iterator

from app.exports.pairs import Candidate, JudgedPrompt
from app.exports.recipe import (
    ColumnType,
    Layout,
    PromptRecipe,
    Row,
    Tools,
    prompt_turns,
    response_turns,
)


def _rows(prompt: JudgedPrompt, layout: Layout) -> Iterator[Row]:
    responses: dict[str, Candidate] = {}
    votes: dict[str, int] = {}
    for candidate in prompt.candidates.values():
        responses.setdefault(candidate.said, candidate)
        votes[candidate.said] = 0
    for preferred in prompt.preferred:
        votes[preferred.chosen.said] += 1
        votes[preferred.rejected.said] -= 1
    for pair in prompt.disliked:
        for said in {pair.first.said, pair.second.said}:
            votes[said] -= 1
    for said, response in responses.items():
        if votes[said]:
            yield {
                "prompt": prompt_turns(prompt.content, layout),
                "completion": response_turns(response, layout),
                "label": votes[said] > 0,
            }


RECIPE = PromptRecipe(
    name="kto",
    description="Single responses, desirable or not, for KTO",
    columns={
        "prompt": ColumnType.TURNS,
        "completion": ColumnType.TURNS,
        "label": ColumnType.FLAG,
    },
    rows=_rows,
    tools=Tools.IN_MESSAGES,
)
