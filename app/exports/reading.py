"""Read the labelled pairs of a project, prompt by prompt, in the order of the recipe."""

from collections.abc import AsyncGenerator, Iterable, Sequence
from contextlib import aclosing
from itertools import groupby
from typing import Final

from sqlalchemy.ext.asyncio import AsyncSession

from app.exports.pairs import LabelledPair
from app.exports.queries import pairs as queries
from app.exports.queries.pairs import Source
from app.exports.repeats import Repeats
from app.exports.rewards import Rewards

_PROMPTS_PER_FETCH: Final = 200

Prompts = Sequence[Sequence[LabelledPair]]
"""The labelled pairs of some prompts, prompt by prompt; those of one text stand together.

A prompt always has all of its pairs.
"""


async def read_by_prompt(
    session: AsyncSession, source: Source, repeats: Repeats
) -> AsyncGenerator[Prompts, None]:
    """All labelled pairs of the project in batches.

    Prompts that are stored several times come first, then the others as they are stored.
    """
    async for sets in _read_together(session, source, repeats):
        yield sets
    unfinished: list[LabelledPair] = []
    async with aclosing(queries.stream_labelled_pairs(session, source)) as batches:
        async for pairs in batches:
            # The last prompt of a batch may have more pairs in the next one.
            *finished, unfinished = _grouped(unfinished + pairs)
            if alone := _alone(finished, repeats):
                yield alone
    if alone := _alone([unfinished] if unfinished else [], repeats):
        yield alone


async def read_by_reward(
    session: AsyncSession, source: Source, repeats: Repeats, rewards: Rewards
) -> AsyncGenerator[Prompts, None]:
    """All labelled pairs of the project, by the reward of their prompt's best response."""
    order = rewards.prompts_by_best()
    async for prompts in _read_together(session, source, repeats.together(order)):
        yield prompts


async def _read_together(
    session: AsyncSession, source: Source, sets: Iterable[list[int]]
) -> AsyncGenerator[Prompts, None]:
    """The labelled pairs of these prompts, set by set, in batches."""
    batch: list[list[int]] = []
    prompts = 0
    for numbers in sets:
        batch.append(numbers)
        prompts += len(numbers)
        if prompts >= _PROMPTS_PER_FETCH:
            yield await _pairs_of(session, source, batch)
            batch, prompts = [], 0
    if batch:
        yield await _pairs_of(session, source, batch)


async def _pairs_of(
    session: AsyncSession, source: Source, sets: Sequence[Sequence[int]]
) -> Prompts:
    wanted = [number for numbers in sets for number in numbers]
    pairs = await queries.labelled_pairs_of(session, source, wanted)
    found = {prompt[0].prompt_id: prompt for prompt in _grouped(pairs)}
    together = ([pair for number in numbers for pair in found.get(number, ())] for numbers in sets)
    return [prompts for prompts in together if prompts]


def _alone(prompts: Sequence[Sequence[LabelledPair]], repeats: Repeats) -> Prompts:
    """Those of the prompts that are stored once."""
    is_repeated = repeats.has([pairs[0].prompt_id for pairs in prompts])
    return [pairs for pairs, repeated in zip(prompts, is_repeated, strict=True) if not repeated]


def _grouped(pairs: Sequence[LabelledPair]) -> list[list[LabelledPair]]:
    return [list(prompt) for _, prompt in groupby(pairs, key=lambda pair: pair.prompt_id)]
