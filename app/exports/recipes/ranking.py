"""Rankings of all labelled responses to a prompt: PRO (arXiv 2306.17492).

One row a prompt, best response first: ``suffix`` y¹ … yⁿ with ``reward`` r¹ > … > rⁿ, ``prefix``
the prompt's turns once for each (as PRO's own loader pairs them), ``sft_index`` 0 (the best one
serves the SFT term). For L = −Σₖ log( exp(πₖ/Tₖᵏ) / Σ_{i≥k} exp(πᵢ/Tᵢᵏ) ) + β L_SFT with
1/Tᵢᵏ = rᵏ − rⁱ for i > k and Tₖᵏ the least of them. Equal rewards give no signal: of responses with
the same reward the first alone is kept, and a prompt with fewer than two is left out.
"""

from collections.abc import Iterator

from app.exports.pairs import JudgedPrompt
from app.exports.recipe import Column, Kind, Layout, Need, PromptRecipe, Row, messages
from app.storage.ids import Kind as IdKind
from app.storage.ids import encode

_SPEAKERS = {"assistant": "<|assistant|>"}
_PROMPTER = "<|prompter|>"


def _rows(prompt: JudgedPrompt, _: Layout) -> Iterator[Row]:
    order = sorted(
        prompt.candidates.values(),
        key=lambda each: (-prompt.rewards.get(each.response_id, 0.0), each.response_id),
    )
    suffix: list[str] = []
    reward: list[float] = []
    for candidate in order:
        value = prompt.rewards.get(candidate.response_id)
        if value is not None and (not reward or value < reward[-1]):
            suffix.append(candidate.text)
            reward.append(value)
    if len(suffix) > 1:
        yield {
            "meta": {
                "prompt_id": encode(IdKind.PROMPT, prompt.prompt_id),
                "prompt_external_id": prompt.external_id,
            },
            "prefix": [_prefix(prompt)] * len(suffix),
            "suffix": suffix,
            "reward": reward,
            "sft_index": 0,
        }


def _prefix(prompt: JudgedPrompt) -> list[str]:
    turns = [
        _SPEAKERS.get(turn["role"], _PROMPTER) + turn["content"]
        for turn in messages(prompt.content)
    ]
    return [*turns, _SPEAKERS["assistant"]]


RECIPE = PromptRecipe(
    name="ranking",
    description="Rankings of a prompt's responses with their rewards, for PRO",
    columns=(
        Column("meta", Kind.SOURCE),
        Column("prefix", Kind.TEXT_LISTS),
        Column("suffix", Kind.TEXTS),
        Column("reward", Kind.NUMBERS),
        Column("sft_index", Kind.COUNT),
    ),
    rows=_rows,
    needs=frozenset({Need.REWARDS}),
)
