"""Preference pairs and ties: DPO with ties (arXiv 2409.17431).

One row a pair with a preference, with ``tie`` false, and one a pair of which most labels say a tie,
with ``tie`` true; its ``chosen`` and ``rejected`` are its two responses as they are stored. For
−log p(tie) and −log p(win) under the model of Rao and Kupper, or Davidson's.
"""

from collections.abc import Iterator

from app.exports.pairs import JudgedPrompt
from app.exports.recipe import (
    PLAIN_PAIR,
    ColumnType,
    Layout,
    Need,
    PromptRecipe,
    Row,
    Tools,
    plain_pair,
    prompt_turns,
    response_turns,
)


def _rows(prompt: JudgedPrompt, layout: Layout) -> Iterator[Row]:
    for preferred in prompt.preferred:
        yield plain_pair(preferred, layout) | {"tie": False}
    for pair in prompt.tied:
        yield {
            "prompt": prompt_turns(pair.prompt, layout),
            "chosen": response_turns(pair.first, layout),
            "rejected": response_turns(pair.second, layout),
            "tie": True,
        }


RECIPE = PromptRecipe(
    name="ties",
    description="Preference pairs, and pairs that are as good as each other, for DPO with ties",
    columns={**PLAIN_PAIR, "tie": ColumnType.FLAG},
    rows=_rows,
    needs=frozenset({Need.TIES}),
    tools=Tools.IN_MESSAGES,
)
