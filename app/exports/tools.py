"""Prompts with tools or tool calls in an export: which it leaves out, and the column ``tools``."""

from collections.abc import Sequence
from contextlib import aclosing
from dataclasses import dataclass
from typing import Any

import orjson
from sqlalchemy.ext.asyncio import AsyncSession

from app.exports.filter import SplitRule
from app.exports.pairs import LabelledPair
from app.exports.queries import tools as queries
from app.exports.queries.pairs import Source, stream_labelled_pairs
from app.exports.recipe import Columns, ColumnType, Layout, Recipe, Row, Tools
from app.exports.schemas import ExportOptions

_COLUMN = "tools"


@dataclass(frozen=True, slots=True)
class FoundTools:
    """What an export has of tools; the same for all of its files, so that they have one schema."""

    prompts_left_out: int = 0
    """Labelled prompts of the split that the files cannot hold."""
    has_column: bool = False
    """Some prompt that is not left out by its recipe and layout has tools."""
    in_messages: bool = False
    """Some message has more than a role and a content."""


async def find_tools(
    session: AsyncSession, source: Source, recipe: Recipe, options: ExportOptions
) -> FoundTools:
    """Look at the labelled prompts with tools, of which a partial index knows."""
    if not await queries.has_any(session, source):
        return FoundTools()
    return FoundTools(
        prompts_left_out=await _count_left_out(session, source, recipe, options),
        has_column=_takes_some(recipe, options.layout) and await queries.has_tools(session, source),
        in_messages=recipe.tools is Tools.IN_MESSAGES and _takes_some(recipe, options.layout),
    )


def is_left_out(recipe: Recipe, layout: Layout, pairs: Sequence[LabelledPair]) -> bool:
    """Whether a file cannot hold a prompt, given with all of its labelled pairs."""
    if not pairs[0].with_tools:
        return False
    if recipe.tools is Tools.IN_STRINGS:
        return not all(map(recipe.holds, pairs))
    return not _takes_some(recipe, layout)


def column(recipe: Recipe) -> Columns:
    """The column that is added where a prompt has tools."""
    in_strings = recipe.tools is Tools.IN_STRINGS
    return {_COLUMN: ColumnType.TEXT if in_strings else ColumnType.TOOLS}


def cell(recipe: Recipe, tools: Any) -> Row:
    """The cell of the added column."""
    if recipe.tools is Tools.IN_STRINGS and tools is not None:
        return {_COLUMN: orjson.dumps(tools).decode()}
    return {_COLUMN: tools}


def _takes_some(recipe: Recipe, layout: Layout) -> bool:
    if recipe.tools is Tools.IN_MESSAGES:
        return layout is Layout.CONVERSATIONAL
    return recipe.tools is Tools.IN_STRINGS


async def _count_left_out(
    session: AsyncSession, source: Source, recipe: Recipe, options: ExportOptions
) -> int:
    rule = SplitRule(options.test_fraction, options.seed)
    if recipe.tools is Tools.IN_STRINGS:
        left_out: set[int] = set()
        found = stream_labelled_pairs(session, source, only_with_tools=True)
        async with aclosing(found) as batches:
            async for pairs in batches:
                left_out.update(
                    pair.prompt_id
                    for pair in pairs
                    if rule.takes(options.split, pair.group_id) and not recipe.holds(pair)
                )
        return len(left_out)
    if _takes_some(recipe, options.layout):
        return 0
    async with aclosing(queries.stream_groups(session, source)) as groups:
        return sum([rule.takes(options.split, group) async for group in groups])
