"""Rankings of all labelled responses to a prompt: PRO (arXiv 2306.17492).

One row a prompt, best response first: ``suffix`` y¹ … yⁿ with ``reward`` r¹ > … > rⁿ, ``prefix``
the prompt's turns once for each (as PRO's own loader pairs them; ``meta`` has their roles),
``sft_index`` 0 (the best one serves the SFT term). For
L = −Σₖ log( exp(πₖ/Tₖᵏ) / Σ_{i≥k} exp(πᵢ/Tᵢᵏ) ) + β L_SFT with 1/Tᵢᵏ = rᵏ − rⁱ for i > k and Tₖᵏ
the least of them. The order never contradicts a preference of the labels; what they leave open, the
rewards decide. Where the two disagree, the rewards are pooled. Equal rewards give no signal, so
they are set a tenth of a standard deviation apart. Prompts with tools or tool calls are left out:
the columns are strings.
"""

from collections.abc import Iterator, Sequence
from typing import Any, Final

from app.exports.pairs import JudgedPrompt
from app.exports.recipe import ColumnType, Layout, Need, PromptRecipe, Row, messages
from app.exports.rewards import DIGITS
from app.storage.ids import IdKind, encode

_SPEAKERS: Final = {"assistant": "<|assistant|>"}
_PROMPTER: Final = "<|prompter|>"
_STEP: Final = 0.1
"""How far apart equal rewards are set, in standard deviations."""


def _rows(prompt: JudgedPrompt, _: Layout) -> Iterator[Row]:
    texts: dict[str, str] = {}
    rewards: dict[str, float] = {}
    for candidate in prompt.candidates.values():
        reward = prompt.rewards.get(candidate.response_id)
        if reward is not None:
            texts.setdefault(candidate.text.strip(), candidate.text)
            rewards.setdefault(candidate.text.strip(), reward)
    order = _best_first(prompt, rewards)
    if len(order) > 1:
        yield {
            "meta": {
                "prompt_id": encode(IdKind.PROMPT, prompt.prompt_id),
                "prompt_external_id": prompt.external_id,
                "roles": _roles(prompt.content),
            },
            "prefix": [_prefix(prompt)] * len(order),
            "suffix": [texts[said] for said in order],
            "reward": _falling([rewards[said] for said in order]),
            "sft_index": 0,
        }


def _best_first(prompt: JudgedPrompt, rewards: dict[str, float]) -> list[str]:
    """Of the texts to which none is left that labels prefer, always the one of highest reward."""
    betters: dict[str, set[str]] = {said: set() for said in rewards}
    for preferred in prompt.preferred:
        better, worse = preferred.chosen.text.strip(), preferred.rejected.text.strip()
        if better in betters and worse in betters:
            betters[worse].add(better)
    order: list[str] = []
    while betters:
        free = [said for said, above in betters.items() if not above.difference(order)]
        order.append(max(free, key=rewards.__getitem__))
        del betters[order[-1]]
    return order


def _falling(rewards: Sequence[float]) -> list[float]:
    """The strictly falling numbers next to these: means of what rises (isotonic regression)."""
    pools: list[tuple[float, int]] = []
    for reward in rewards:
        total, size = reward, 1
        while pools and pools[-1][0] / pools[-1][1] < total / size:
            above, more = pools.pop()
            total, size = total + above, size + more
        pools.append((total, size))
    falling: list[float] = []
    for total, size in pools:
        for _ in range(size):
            value = round(total / size, DIGITS)
            if falling and value >= falling[-1]:
                value = round(falling[-1] - _STEP, DIGITS)
            falling.append(value)
    return falling


def _roles(content: Any) -> list[str] | None:
    """The roles of a chat's turns, of which PRO's markers know two; None where it is a string."""
    return None if isinstance(content, str) else [turn["role"] for turn in content]


def _prefix(prompt: JudgedPrompt) -> list[str]:
    turns = [
        _SPEAKERS.get(turn["role"], _PROMPTER) + turn["content"]
        for turn in messages(prompt.content)
    ]
    return [*turns, _SPEAKERS["assistant"]]


RECIPE = PromptRecipe(
    name="ranking",
    description="Rankings of a prompt's responses with their rewards, for PRO",
    columns={
        "meta": ColumnType.SOURCE,
        "prefix": ColumnType.TEXT_LISTS,
        "suffix": ColumnType.TEXTS,
        "reward": ColumnType.NUMBERS,
        "sft_index": ColumnType.COUNT,
    },
    rows=_rows,
    needs=frozenset({Need.REWARDS}),
)
