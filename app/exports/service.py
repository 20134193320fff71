"""An export: one snapshot of the labels, read as a stream, written as one file or several."""

from collections.abc import AsyncGenerator, Iterator, Sequence
from contextlib import aclosing
from dataclasses import dataclass, replace
from itertools import groupby

from fastapi.concurrency import run_in_threadpool
from sqlalchemy.ext.asyncio import AsyncSession

from app.errors import RecipeUnfilled
from app.exports import provenance
from app.exports.aggregate import Aggregation
from app.exports.compression import Compression, Gzip
from app.exports.counts import Counts
from app.exports.encoder import FILE_TYPES, Encoder, FileType
from app.exports.judge import Filter, Judge, Scale
from app.exports.needs import check_needs
from app.exports.pairs import JudgedPrompt, LabelledPair, PreferredPair
from app.exports.queries import pairs as queries
from app.exports.queries.pairs import Source
from app.exports.recipe import Need, Order, PairRecipe, Recipe, Row
from app.exports.reliability import PairOdds, dawid_skene
from app.exports.reward_model import fit_rewards
from app.exports.rewards import Rewards
from app.exports.schemas import ExportOptions
from app.exports.split import Split
from app.exports.weight import unscaled_weight

_PROMPTS_PER_FETCH = 200


@dataclass(frozen=True, slots=True)
class Export:
    """A dataset that was asked for."""

    project_id: int
    project_name: str
    recipe: Recipe
    options: ExportOptions

    @property
    def filename(self) -> str:
        """What a single file is called."""
        packed = ".gz" if self.options.compression is Compression.GZIP else ""
        name = f"{self.project_name}-{self.recipe.name}-{self.options.split}"
        return f"{name}.{self.options.file}{packed}"

    @property
    def file_type(self) -> FileType:
        """The format of the files."""
        return FILE_TYPES[self.options.file]

    @property
    def media_type(self) -> str:
        """What a single file is over HTTP."""
        is_packed = self.options.compression is Compression.GZIP
        return "application/gzip" if is_packed else self.file_type.media_type

    @property
    def source(self) -> Source:
        """The labels it takes."""
        return Source(self.project_id, surplus=self.options.surplus, needs=self.recipe.needs)

    @property
    def with_margin(self) -> bool:
        """Whether its rows have margins."""
        told = self.options.metadata and isinstance(self.recipe, PairRecipe)
        return told or Need.MARGIN in self.recipe.needs


@dataclass(slots=True)
class Snapshot:
    """What is known of the whole before the first row: one state of the database.

    ``odds`` and ``rewards`` are there where the export needs them; the rewards of a margin are
    fitted when the first file turns out to need them.
    """

    pending_prompts: int
    odds: PairOdds | None = None
    rewards: Rewards | None = None


@dataclass(slots=True)
class WrittenFile:
    """What is known of a file when its last byte is written."""

    counts: Counts
    scale: Scale
    has_rewards: bool = False


async def begin_export(session: AsyncSession, export: Export) -> Snapshot:
    """Fix the state of the database that the export shows, and fit what it needs to the labels.

    Raises:
        RecipeUnfilled: the project lacks what the recipe needs.
    """
    await queries.begin_snapshot(session)
    await check_needs(session, export.source)
    snapshot = Snapshot(await queries.count_prompts_without_group(session, export.project_id))
    if export.options.aggregation is Aggregation.DAWID_SKENE:
        votes = await queries.load_votes(session, export.source)
        snapshot.odds = await run_in_threadpool(dawid_skene, votes)
    if Need.REWARDS in export.recipe.needs:
        snapshot.rewards = await fit_rewards(session, export.source)
    return snapshot


async def stream_file(
    session: AsyncSession, export: Export, snapshot: Snapshot, split: Split, written: WrittenFile
) -> AsyncGenerator[bytes, None]:
    """The bytes of one split's file, in one or more pieces (some empty), with bounded memory.

    ``written`` tells all about the file when the last piece has been taken.
    """
    written.scale = await _survey(session, export, snapshot, split)
    written.has_rewards = snapshot.rewards is not None
    writer = _Writer(export, _judge(export, snapshot, split, written.scale))
    written.counts = writer.counts
    async with aclosing(_batches(session, export, snapshot)) as batches:
        async for prompts in batches:
            # In a thread: a batch of long texts would hold up every other request.
            yield await run_in_threadpool(writer.write, prompts)
    yield await run_in_threadpool(writer.finish)


async def stream_export(
    session: AsyncSession, export: Export, snapshot: Snapshot
) -> AsyncGenerator[bytes, None]:
    """The single file that was asked for, packed if it should be."""
    written = WrittenFile(Counts(), Scale())
    gzip = Gzip() if export.options.compression is Compression.GZIP else None
    pieces = stream_file(session, export, snapshot, export.options.split, written)
    async with aclosing(pieces):
        async for piece in pieces:
            yield piece if gzip is None else await run_in_threadpool(gzip.pack, piece)
    if gzip is not None:
        yield gzip.finish()


async def _survey(session: AsyncSession, export: Export, snapshot: Snapshot, split: Split) -> Scale:
    """Read the file's rows once before they are written, where something is one for all of them.

    Without strengths this ends at the first row that has none.
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
            count, total = count + 1, total + unscaled_weight(preferred)
        scale = replace(scale, mean_weight=total / count if count else 1.0)
    return scale


async def _rewards_of_margins(session: AsyncSession, export: Export) -> Rewards | None:
    """None where there can be none, and no more than a cell of provenance wants them."""
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
    async with aclosing(_batches(session, export, snapshot)) as batches:
        async for prompts in batches:
            for judged in map(judge.judge, prompts):
                for preferred in judged.preferred if judged else ():
                    yield preferred


def _judge(export: Export, snapshot: Snapshot, split: Split, scale: Scale) -> Judge:
    return Judge(
        filter=Filter(split, export.options.split_rule, export.options.min_agreement),
        odds=snapshot.odds,
        rewards=snapshot.rewards,
        with_margin=export.with_margin,
        scale=scale,
    )


Prompts = Sequence[Sequence[LabelledPair]]
"""The labelled pairs of some prompts, prompt by prompt; no prompt is cut in two."""


async def _batches(
    session: AsyncSession, export: Export, snapshot: Snapshot
) -> AsyncGenerator[Prompts, None]:
    """All labelled pairs of the project, in the order of the recipe."""
    by_reward = export.recipe.order is Order.LOWEST_REWARD_FIRST
    found = (
        _by_reward(session, export.source, snapshot)
        if by_reward
        else _by_prompt(session, export.source)
    )
    async with aclosing(found):
        async for prompts in found:
            yield prompts


async def _by_prompt(session: AsyncSession, source: Source) -> AsyncGenerator[Prompts, None]:
    last: list[LabelledPair] = []
    async with aclosing(queries.stream_labelled_pairs(session, source)) as batches:
        async for pairs in batches:
            *whole, last = _grouped(last + pairs)
            if whole:
                yield whole
    if last:
        yield [last]


async def _by_reward(
    session: AsyncSession, source: Source, snapshot: Snapshot
) -> AsyncGenerator[Prompts, None]:
    assert snapshot.rewards is not None
    order: list[int] = snapshot.rewards.prompts_by_best().tolist()
    for start in range(0, len(order), _PROMPTS_PER_FETCH):
        wanted = order[start : start + _PROMPTS_PER_FETCH]
        pairs = await queries.labelled_pairs_of(session, source, wanted)
        found = {prompt[0].prompt_id: prompt for prompt in _grouped(pairs)}
        yield [found[prompt_id] for prompt_id in wanted]


def _grouped(pairs: Sequence[LabelledPair]) -> list[list[LabelledPair]]:
    return [list(prompt) for _, prompt in groupby(pairs, key=lambda pair: pair.prompt_id)]


class _Writer:
    def __init__(self, export: Export, judge: Judge) -> None:
        columns = export.recipe.columns
        if export.options.metadata:
            columns += provenance.columns(export.recipe)
        self._recipe = export.recipe
        self._layout = export.options.layout
        self._with_provenance = export.options.metadata
        self._judge = judge
        self._encoder: Encoder = export.file_type.encoder(columns, self._layout)

    @property
    def counts(self) -> Counts:
        return self._judge.counts

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
        """The recipe's own columns win over those of provenance."""
        recipe = self._recipe
        if isinstance(recipe, PairRecipe):
            for preferred in prompt.preferred:
                told = provenance.of_pair(preferred) if self._with_provenance else {}
                for row in recipe.rows(preferred, self._layout):
                    yield told | row
        else:
            told = provenance.of_prompt(prompt) if self._with_provenance else {}
            for row in recipe.rows(prompt, self._layout):
                yield told | row
