"""Read the labelled pairs of a project, prompt by prompt, in the order of the recipe."""

from collections.abc import AsyncGenerator, Sequence
from contextlib import aclosing
from itertools import groupby
from typing import Final

from sqlalchemy.ext.asyncio import AsyncSession

from app.exports.pairs import LabelledPair
from app.exports.queries import pairs as queries
from app.exports.queries.pairs import Source
from app.exports.rewards import Rewards

_PROMPTS_PER_FETCH: Final = 200

Prompts = Sequence[Sequence[LabelledPair]]
"""The labelled pairs of some prompts, prompt by prompt; a prompt always has all of its pairs."""


async def read_by_prompt(session: AsyncSession, source: Source) -> AsyncGenerator[Prompts, None]:
    """All labelled pairs of the project as they are stored, in batches."""
    unfinished: list[LabelledPair] = []
    async with aclosing(queries.stream_labelled_pairs(session, source)) as batches:
        async for pairs in batches:
            # The last prompt of a batch may have more pairs in the next one.
            *finished, unfinished = _grouped(unfinished + pairs)
            if finished:
                yield finished
    if unfinished:
        yield [unfinished]


async def read_by_reward(
    session: AsyncSession, source: Source, rewards: Rewards
) -> AsyncGenerator[Prompts, None]:
    """All labelled pairs of the project, by the reward of their prompt's best response."""
    order: list[int] = rewards.prompts_by_best().tolist()
    for start in range(0, len(order), _PROMPTS_PER_FETCH):
        wanted = order[start : start + _PROMPTS_PER_FETCH]
        pairs = await queries.labelled_pairs_of(session, source, wanted)
        found = {prompt[0].prompt_id: prompt for prompt in _grouped(pairs)}
        yield [found[prompt_id] for prompt_id in wanted]


def _grouped(pairs: Sequence[LabelledPair]) -> list[list[LabelledPair]]:
    return [list(prompt) for _, prompt in groupby(pairs, key=lambda pair: pair.prompt_id)]
