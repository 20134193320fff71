"""An export: one snapshot of the labels, read once, written as one file."""

from collections.abc import AsyncGenerator, Iterator
from contextlib import aclosing
from dataclasses import dataclass

from fastapi.concurrency import run_in_threadpool
from sqlalchemy.ext.asyncio import AsyncSession

from app.exports import provenance, queries
from app.exports.encoder import FILE_TYPES, Encoder, FileType
from app.exports.pairs import LabelledPair
from app.exports.queries import Source
from app.exports.recipe import Recipe, Row
from app.exports.schemas import ExportOptions


@dataclass(frozen=True, slots=True)
class Export:
    """A dataset that was asked for."""

    project_id: int
    project_name: str
    recipe: Recipe
    options: ExportOptions

    @property
    def filename(self) -> str:
        """What the file is called."""
        return f"{self.project_name}-{self.recipe.name}-{self.options.split}.{self.options.file}"

    @property
    def file_type(self) -> FileType:
        """The format of the file."""
        return FILE_TYPES[self.options.file]

    @property
    def source(self) -> Source:
        """The labels it takes."""
        return Source(self.project_id, surplus=self.options.surplus)


@dataclass(frozen=True, slots=True)
class Snapshot:
    """What is known of the whole before the first row.

    ``has_margin``: every row of the file has a mean strength; so a column is never half of a kind.
    """

    pending_prompts: int
    has_margin: bool


async def begin_export(session: AsyncSession, export: Export) -> Snapshot:
    """Fix the state of the database that the export shows."""
    await queries.begin_snapshot(session)
    return Snapshot(
        pending_prompts=await queries.count_prompts_without_group(session, export.project_id),
        has_margin=export.options.metadata and await _has_margin(session, export),
    )


async def stream_export(
    session: AsyncSession, export: Export, snapshot: Snapshot
) -> AsyncGenerator[bytes, None]:
    """The bytes of the file, in one or more pieces (some empty), with bounded memory."""
    writer = _Writer(export, with_margin=snapshot.has_margin)
    async with aclosing(queries.stream_labelled_pairs(session, export.source)) as batches:
        async for pairs in batches:
            # In a thread: a batch of long texts would hold up every other request.
            yield await run_in_threadpool(writer.write, pairs)
    yield await run_in_threadpool(writer.finish)


async def _has_margin(session: AsyncSession, export: Export) -> bool:
    batches = queries.stream_labelled_pairs(session, export.source, only_without_strength=True)
    async with aclosing(batches):
        async for pairs in batches:
            for preferred in export.options.filter.preferred(pairs):
                if preferred.preference.strength is None:
                    return False
    return True


class _Writer:
    def __init__(self, export: Export, *, with_margin: bool) -> None:
        columns = export.recipe.columns
        if export.options.metadata:
            columns += provenance.COLUMNS
        self._export = export
        self._with_margin = with_margin
        self._encoder: Encoder = export.file_type.encoder(columns, export.options.layout)

    def write(self, pairs: list[LabelledPair]) -> bytes:
        return self._encoder.encode(self._rows(pairs))

    def finish(self) -> bytes:
        return self._encoder.finish()

    def _rows(self, pairs: list[LabelledPair]) -> Iterator[Row]:
        options = self._export.options
        for preferred in options.filter.preferred(pairs):
            told = (
                provenance.provenance(preferred, with_margin=self._with_margin)
                if options.metadata
                else {}
            )
            for row in self._export.recipe.rows(preferred, options.layout):
                yield row | told
