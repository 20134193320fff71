"""Which prompts to sample again: OPTune (arXiv 2406.07657), section on prompt selection.

One row a labelled prompt, by the fitted reward of its best response, lowest first: those gain most
from fresh responses. ``rank`` counts from 1. The weighted loss for what comes back is ``optune``'s.
"""

from collections.abc import Iterator

from app.exports.pairs import JudgedPrompt
from app.exports.recipe import ColumnType, Layout, Need, PromptRecipe, Row, Tools, prompt_turns
from app.storage.ids import IdKind, encode


def _rows(prompt: JudgedPrompt, layout: Layout) -> Iterator[Row]:
    if not prompt.rewards:
        return  # only copies of the prompt that the file cannot hold have labels
    yield {
        "prompt": prompt_turns(prompt.content, layout),
        "prompt_id": encode(IdKind.PROMPT, prompt.prompt_id),
        "best_reward": max(prompt.rewards.values()),
        "rank": prompt.rank,
    }


RECIPE = PromptRecipe(
    name="regenerate",
    description="The prompts whose best response is poorest, to be sampled again",
    columns={
        "prompt": ColumnType.TURNS,
        "prompt_id": ColumnType.TEXT,
        "best_reward": ColumnType.NUMBER,
        "rank": ColumnType.COUNT,
    },
    rows=_rows,
    tools=Tools.IN_MESSAGES,
    needs=frozenset({Need.REWARDS}),
    lowest_reward_first=True,
)
