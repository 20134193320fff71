"""Goal-conditioned pairs: Reward-Augmented Data (arXiv 2410.08067).

Two rows a pair, with the goal g in a system turn. With R(x, y, g) = −(g − r(x, y))², the response
whose own reward is the goal is the better: g = r_w keeps the order, g = r_l swaps it. The loss is
DPO's on either. ``overall_score_chosen`` and ``overall_score_rejected`` are the rewards of the
row's own chosen and rejected. A pair whose rewards are equal, or stand the other way round than its
labels, has no such goals and gives no row.

Goals are from 1 to 10, as the authors' are: of a reward z, in standard deviations from the mean,
1 + 9·Φ(z), Φ being the normal distribution function. So the goals of a project spread over the
whole scale, whatever its rewards are.
"""

import math
from collections.abc import Iterator
from typing import Final

from app.exports.pairs import Candidate, PreferredPair
from app.exports.recipe import (
    PLAIN_PAIR,
    ColumnType,
    Layout,
    Message,
    Need,
    PairRecipe,
    Row,
    Tools,
    messages,
    prompt_turns,
    response_turns,
)

_LOWEST: Final = 1
_HIGHEST: Final = 10


def goal_of(reward: float) -> float:
    """The goal of a reward, from 1 to 10; ``reward`` is in standard deviations from the mean."""
    return _LOWEST + (_HIGHEST - _LOWEST) * (1 + math.erf(reward / math.sqrt(2))) / 2


def goal_text(goal: float) -> str:
    """What the system turn says."""
    return (
        "You are an assistant that generates responses for the instruction while implicitly"
        f" achieving the following target score (from {_LOWEST}, the lowest, to {_HIGHEST}, the"
        f" highest): {goal:.2f}."
    )


def _rows(preferred: PreferredPair, layout: Layout) -> Iterator[Row]:
    better = preferred.chosen, goal_of(preferred.reward_chosen)
    worse = preferred.rejected, goal_of(preferred.reward_rejected)
    # What the goals say must differ, as the model reads it.
    if better[1] > worse[1] and goal_text(better[1]) != goal_text(worse[1]):
        yield _row(preferred, better, worse, layout)
        yield _row(preferred, worse, better, layout)


def _row(
    preferred: PreferredPair,
    chosen: tuple[Candidate, float],
    rejected: tuple[Candidate, float],
    layout: Layout,
) -> Row:
    goal: Message = {"role": "system", "content": goal_text(chosen[1])}
    turns = messages(preferred.pair.prompt)
    if turns[0]["role"] == "system":
        # Chat templates take one system turn.
        system = turns.pop(0)
        goal = {**system, "content": goal["content"] + "\n\n" + system["content"]}
    return {
        "prompt": prompt_turns([goal, *turns], layout),
        "chosen": response_turns(chosen[0], layout),
        "rejected": response_turns(rejected[0], layout),
        "overall_score_chosen": chosen[1],
        "overall_score_rejected": rejected[1],
    }


RECIPE = PairRecipe(
    name="reward-augmented",
    description="Pairs conditioned on a goal, each in both orders, for Reward-Augmented Data",
    columns={
        **PLAIN_PAIR,
        "overall_score_chosen": ColumnType.NUMBER,
        "overall_score_rejected": ColumnType.NUMBER,
    },
    rows=_rows,
    needs=frozenset({Need.REWARDS}),
    tools=Tools.IN_MESSAGES,
)
