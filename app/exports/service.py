"""An export: one snapshot of the labels, read as a stream and written as one or more files."""

from collections.abc import AsyncGenerator, Iterator
from contextlib import aclosing
from dataclasses import dataclass, field, replace
from functools import partial

from fastapi.concurrency import run_in_threadpool
from sqlalchemy.ext.asyncio import AsyncSession

from app.errors import RecipeUnfilled
from app.exports import provenance
from app.exports.aggregate import Aggregation
from app.exports.encoding import ENCODERS
from app.exports.filter import Split, SplitRule
from app.exports.judge import Counts, Judge, Scale
from app.exports.pairs import JudgedPrompt, PreferredPair
from app.exports.queries import pairs as queries
from app.exports.queries.pairs import Source
from app.exports.queries.repeats import find_repeated_prompts
from app.exports.reading import Prompts, read_by_prompt, read_by_reward
from app.exports.recipe import Columns, Need, PairRecipe, PromptRecipe, Recipe, Row
from app.exports.recipes.contrastive import LOG_PROBABILITIES
from app.exports.reliability import PairOdds, dawid_skene
from app.exports.repeats import Repeats
from app.exports.reward_model import fit_rewards
from app.exports.rewards import Rewards
from app.exports.schemas import ALL_ROUNDS, LATEST_ROUND, ExportOptions
from app.exports.streaming import Compression, gzip_packer
from app.exports.tools import FoundTools, cell, column, find_tools, is_left_out


@dataclass(frozen=True, slots=True)
class Export:
    """What was requested."""

    project_id: int
    project_name: str
    recipe: Recipe
    options: ExportOptions

    @property
    def filename(self) -> str:
        """The name of a single file."""
        packed = ".gz" if self.options.compression is Compression.GZIP else ""
        name = f"{self.project_name}-{self.recipe.name}-{self.options.split}"
        return f"{name}.{self.options.file}{packed}"

    @property
    def media_type(self) -> str:
        """The media type of a single file."""
        is_packed = self.options.compression is Compression.GZIP
        return "application/gzip" if is_packed else ENCODERS[self.options.file].media_type

    @property
    def source(self) -> Source:
        """The labels that the export takes."""
        return Source(
            self.project_id,
            surplus=self.options.surplus,
            judges=self.options.labels,
            rounds=_read_rounds(self.options.rounds),
            needs=self.recipe.needs,
        )

    def own_columns(self, tools: FoundTools) -> Columns:
        """The recipe's columns, and that of tools where a prompt has any."""
        return {**self.recipe.columns, **(column(self.recipe) if tools.has_column else {})}

    def columns(self, tools: FoundTools) -> Columns:
        """The columns of its files, with those of provenance if requested."""
        added = provenance.columns(self.recipe) if self.options.metadata else {}
        return {**self.own_columns(tools), **added}

    @property
    def with_margin(self) -> bool:
        """Whether its rows have margins."""
        has_metadata = self.options.metadata and isinstance(self.recipe, PairRecipe)
        return has_metadata or Need.MARGIN in self.recipe.needs


def _read_rounds(text: str) -> tuple[int, ...] | None:
    """The rounds as a ``Source`` has them."""
    if text == ALL_ROUNDS:
        return None
    return () if text == LATEST_ROUND else tuple(sorted({int(each) for each in text.split(",")}))


@dataclass(slots=True)
class Snapshot:
    """What is computed from one state of the database before the first row is written."""

    pending_prompts: int
    repeats: Repeats
    """Labelled prompts that are stored several times."""
    tools: FoundTools = field(default_factory=FoundTools)
    odds: PairOdds | None = None
    """With Dawid-Skene aggregation."""
    confidences: PairOdds | None = None
    """If the recipe needs them, whatever the aggregation."""
    rewards: Rewards | None = None
    """If the recipe needs rewards, or once the margins of a file turn out to need them."""


@dataclass(slots=True)
class WrittenFile:
    """The facts about a file, complete once its last byte is written."""

    counts: Counts
    scale: Scale
    has_rewards: bool = False
    label_noise: float | None = None


async def begin_export(session: AsyncSession, export: Export) -> Snapshot:
    """Begin a snapshot of the database, and fit to its labels what the export needs.

    Raises:
        RecipeUnfilled: the project lacks what the recipe needs.
    """
    await queries.begin_snapshot(session)
    await _check_needs(session, export.source)
    snapshot = Snapshot(
        await queries.count_prompts_without_group(session, export.project_id),
        await find_repeated_prompts(session, export.project_id),
        await find_tools(session, export.source, export.recipe, export.options),
    )
    is_weighted = export.options.aggregation is Aggregation.DAWID_SKENE
    needs_confidences = Need.CONFIDENCE in export.recipe.needs
    if is_weighted or needs_confidences:
        votes = await queries.load_votes(session, export.source)
        odds = await run_in_threadpool(dawid_skene, votes)
        snapshot.odds = odds if is_weighted else None
        snapshot.confidences = odds if needs_confidences else None
    if Need.REWARDS in export.recipe.needs:
        snapshot.rewards = await fit_rewards(session, export.source)
    return snapshot


async def _check_needs(session: AsyncSession, source: Source) -> None:
    """Check that the project has some of what the recipe needs; rows without it are left out."""
    if Need.REFERENCE in source.needs and not await queries.has_reference(
        session, source.project_id
    ):
        raise RecipeUnfilled(
            "the recipe needs reference responses: send the reference policy's response of each"
            " prompt with `reference: true`"
        )
    if Need.LOG_PROBABILITIES in source.needs and not await queries.has_metadata(
        session, source.project_id, LOG_PROBABILITIES
    ):
        raise RecipeUnfilled(
            "the recipe needs log-probabilities under both system prompts: send responses with"
            " `logprob_safe` and `logprob_unsafe` in their metadata"
        )
    if source.needs_edits and not await queries.has_edit(session, source):
        either = Need.ANY_EDITS in source.needs
        raise RecipeUnfilled(
            "the recipe needs edits: no label has an improved text of the preferred response"
            " (`edited`)" + (", or of the other one (`edited_rejected`)" if either else "")
        )


async def stream_file(
    session: AsyncSession, export: Export, snapshot: Snapshot, split: Split, written: WrittenFile
) -> AsyncGenerator[bytes, None]:
    """The bytes of one split's file, in one or more pieces (some empty), in bounded memory.

    ``written`` is filled in, and is complete after the last piece.
    """
    written.scale = await _survey(session, export, snapshot, split)
    written.has_rewards = snapshot.rewards is not None
    writer = _Writer(export, snapshot.tools, _judge(export, snapshot, split, written.scale))
    written.counts = writer.counts
    async with aclosing(_prompts(session, export, snapshot)) as batches:
        async for prompts in batches:
            # In a thread, because a batch of long texts would block every other request.
            yield await run_in_threadpool(writer.write, prompts)
    written.label_noise = writer.label_noise
    yield await run_in_threadpool(writer.finish)


async def stream_export(
    session: AsyncSession, export: Export, snapshot: Snapshot
) -> AsyncGenerator[bytes, None]:
    """The single file that was requested, compressed if that was requested."""
    written = WrittenFile(Counts(), Scale())
    packer = gzip_packer() if export.options.compression is Compression.GZIP else None
    pieces = stream_file(session, export, snapshot, export.options.split, written)
    async with aclosing(pieces):
        async for piece in pieces:
            yield piece if packer is None else await run_in_threadpool(packer.compress, piece)
    if packer is not None:
        yield packer.flush()


async def _survey(session: AsyncSession, export: Export, snapshot: Snapshot, split: Split) -> Scale:
    """Find what is the same for all rows of the file, by reading them once before they are written.

    Nothing is read if the export has neither margins nor weights. The search for a row without a
    strength ends at the first one.
    """
    scale = Scale()
    if export.with_margin:
        scale = replace(scale, margin_is_strength=True)
        async with aclosing(_preferred(session, export, snapshot, split)) as rows:
            async for preferred in rows:
                if preferred.preference.strength is None:
                    scale = replace(scale, margin_is_strength=False)
                    break
        if not scale.margin_is_strength and snapshot.rewards is None:
            snapshot.rewards = await _rewards_of_margins(session, export)
    if Need.MEAN_WEIGHT in export.recipe.needs:
        count, total = 0, 0.0
        async for preferred in _preferred(session, export, snapshot, split):
            count, total = count + 1, total + preferred.unscaled_weight
        scale = replace(scale, mean_weight=total / count if count else 1.0)
    return scale


async def _rewards_of_margins(session: AsyncSession, export: Export) -> Rewards | None:
    """The rewards; None if there are none and only a metadata column would use them."""
    try:
        return await fit_rewards(session, export.source)
    except RecipeUnfilled:
        if Need.MARGIN in export.recipe.needs:
            raise
        return None


async def _preferred(
    session: AsyncSession, export: Export, snapshot: Snapshot, split: Split
) -> AsyncGenerator[PreferredPair, None]:
    judge = _judge(export, snapshot, split, Scale())
    async with aclosing(_prompts(session, export, snapshot)) as batches:
        async for prompts in batches:
            for judged in map(judge.judge, prompts):
                for preferred in judged.preferred if judged else ():
                    yield preferred


def _prompts(
    session: AsyncSession, export: Export, snapshot: Snapshot
) -> AsyncGenerator[Prompts, None]:
    if export.recipe.lowest_reward_first:
        assert snapshot.rewards is not None  # such a recipe needs rewards
        return read_by_reward(session, export.source, snapshot.repeats, snapshot.rewards)
    return read_by_prompt(session, export.source, snapshot.repeats)


def _judge(export: Export, snapshot: Snapshot, split: Split, scale: Scale) -> Judge:
    return Judge(
        split=split,
        split_rule=SplitRule(export.options.test_fraction, export.options.seed),
        min_agreement=export.options.min_agreement,
        is_left_out=partial(is_left_out, export.recipe, export.options.layout),
        odds=snapshot.odds,
        confidences=snapshot.confidences,
        takes_ties=Need.TIES in export.recipe.needs,
        rewards=snapshot.rewards,
        with_margin=export.with_margin,
        by_prompt=isinstance(export.recipe, PromptRecipe),
        scale=scale,
    )


class _Writer:
    def __init__(self, export: Export, tools: FoundTools, judge: Judge) -> None:
        self._recipe = export.recipe
        self._layout = export.options.layout
        self._with_provenance = export.options.metadata
        self._with_tools = tools.has_column
        self._judge = judge
        self._encoder = ENCODERS[export.options.file](
            export.columns(tools), self._layout, whole_messages=tools.in_messages
        )

    @property
    def counts(self) -> Counts:
        return self._judge.counts

    @property
    def label_noise(self) -> float | None:
        return self._judge.label_noise

    def write(self, prompts: Prompts) -> bytes:
        return self._encoder.encode(self._rows(prompts))

    def finish(self) -> bytes:
        return self._encoder.finish()

    def _rows(self, prompts: Prompts) -> Iterator[Row]:
        for pairs in prompts:
            judged = self._judge.judge(pairs)
            for row in self._rows_of(judged) if judged else ():
                self.counts.rows += 1
                yield row

    def _rows_of(self, prompt: JudgedPrompt) -> Iterator[Row]:
        """The rows, with metadata if requested; the recipe's own columns take precedence."""
        recipe = self._recipe
        tools = cell(recipe, prompt.tools) if self._with_tools else {}
        if isinstance(recipe, PairRecipe):
            for preferred in prompt.preferred:
                metadata = provenance.of_pair(preferred) if self._with_provenance else {}
                for row in recipe.rows(preferred, self._layout):
                    yield metadata | tools | row
        else:
            metadata = provenance.of_prompt(prompt) if self._with_provenance else {}
            for row in recipe.rows(prompt, self._layout):
                yield metadata | tools | row
