"""Import any number of lines: read them as a stream, and store them a batch at a time."""

from collections.abc import AsyncIterable, Sequence
from contextlib import aclosing
from dataclasses import dataclass
from typing import Final

from psycopg.errors import DeadlockDetected
from sqlalchemy.exc import DBAPIError
from sqlalchemy.ext.asyncio import AsyncSession

from app.annotation.imported_labels import ImportedLabel, Outcome, store_imported_labels
from app.annotation.schemas import IMPORT_ANNOTATOR
from app.errors import AppError
from app.formats.column_map import ColumnMap
from app.imports import queries
from app.imports.batches import read_ahead, read_batches
from app.imports.lines import GoodLine
from app.imports.running import ImportLapsed, RunningImport
from app.imports.schemas import (
    ImportProgress,
    ImportReport,
    RejectedLine,
    RunningImports,
)
from app.projects import service as projects
from app.prompts.intake import Taken
from app.prompts.row_intake import RowIntake, finish_rows, take_in_rows, take_turn_to_add
from app.storage.ids import IdKind, encode
from app.storage.sessions import Sessions

_ATTEMPTS: Final = 5


@dataclass(frozen=True, slots=True)
class _Stored:
    """What became of the lines of a batch."""

    taken: Sequence[Taken]
    labels: int
    """How many labels are new."""
    refused: Sequence[RejectedLine]
    """The lines that contradict what is stored."""


async def import_prompts(
    sessions: Sessions,
    project_name: str,
    chunks: AsyncIterable[bytes],
    *,
    keep_labels: bool,
    keep_extra: bool = False,
    is_document: bool = False,
    columns: ColumnMap | None = None,
) -> ImportReport:
    """Store the prompts of a stream of lines. Good lines are stored, bad ones are reported.

    Each batch is stored in its own transaction while the next one is read. If the stream breaks
    off, the batches before stay, and nothing of the current one does. ``is_document``: the stream
    is JSON as a whole, and each of its values counts as a line. ``columns``: the names that columns
    are read by, where those are not their own.

    Raises:
        UnknownProject: no project has that name, or it has been deleted since.
        UnsupportedMedia: the stream is another kind of file, or in another encoding.
    """
    async with sessions.begin() as session:
        project_id = (await projects.find_project(session, project_name)).id
    report = ImportReport()
    lines = read_batches(chunks, is_document=is_document, keep_extra=keep_extra, columns=columns)
    async with (
        RunningImport(sessions, project_id) as running,
        aclosing(read_ahead(lines)) as batches,
    ):
        async for good, bad in batches:
            refused: Sequence[RejectedLine] = ()
            if good:
                stored = await _store_batch(
                    sessions, project_id, running, good, keep_labels=keep_labels
                )
                _count(report, stored)
                _tell_left_out(report, good, stored.refused, keep_labels=keep_labels)
                refused = stored.refused
            report.tell_rejected([*bad, *refused])
            await running.note(report)
    return report


async def _store_batch(
    sessions: Sessions,
    project_id: int,
    running: RunningImport,
    lines: Sequence[GoodLine],
    *,
    keep_labels: bool,
) -> _Stored:
    """Store a batch in a transaction of its own; again if the planner gets in its way."""
    attempt = 1
    while True:
        try:
            async with sessions.begin() as session:
                await take_turn_to_add(session, project_id)
                stored = await _store(
                    session, project_id, running.id, lines, keep_labels=keep_labels
                )
                await running.hold(session)
                return stored
        except ImportLapsed:
            await running.begin_again()
        except DBAPIError as error:
            if attempt == _ATTEMPTS or not isinstance(error.orig, DeadlockDetected):
                raise
            attempt += 1


async def _store(
    session: AsyncSession,
    project_id: int,
    import_id: int,
    lines: Sequence[GoodLine],
    *,
    keep_labels: bool,
) -> _Stored:
    with_labels = keep_labels and any(line.preferences for line in lines)
    intake = await take_in_rows(
        session,
        project_id,
        import_id,
        [line.prompt for line in lines],
        with_labels=with_labels,
    )
    labels = await _store_labels(session, intake, lines) if with_labels else 0
    await finish_rows(session, intake)
    refused = [
        RejectedLine(line=line.number, detail=outcome.detail)
        for line, outcome in zip(lines, intake.outcomes, strict=True)
        if isinstance(outcome, AppError)
    ]
    return _Stored(intake.taken, labels, refused)


async def _store_labels(session: AsyncSession, intake: RowIntake, lines: Sequence[GoodLine]) -> int:
    """How many labels are new."""
    labels = [
        label
        for line, outcome in zip(lines, intake.outcomes, strict=True)
        if isinstance(outcome, Taken)
        for label in _labels(line, outcome)
    ]
    stored = await store_imported_labels(
        session, intake.project_id, labels, changing=intake.changed
    )
    return sum(each.outcome is Outcome.CREATED for each in stored)


def _labels(line: GoodLine, taken: Taken) -> list[ImportedLabel]:
    labels = []
    for preference in line.preferences:
        first, second = sorted(taken.responses[index].id for index in preference.responses)
        preferred = preference.preferred
        labels.append(
            ImportedLabel(
                prompt_id=taken.prompt.id,
                response_ids=(first, second),
                preferred_response_id=None if preferred is None else taken.responses[preferred].id,
                annotator=preference.annotator or IMPORT_ANNOTATOR,
                strength=preference.strength,
                both_bad=preference.both_bad,
            )
        )
    return labels


def _count(report: ImportReport, stored: _Stored) -> None:
    created = sum(each.created for each in stored.taken)
    extended = sum(each.extended for each in stored.taken)
    report.created += created
    report.extended += extended
    report.unchanged += len(stored.taken) - created - extended
    report.labels += stored.labels


def _tell_left_out(
    report: ImportReport,
    lines: Sequence[GoodLine],
    refused: Sequence[RejectedLine],
    *,
    keep_labels: bool,
) -> None:
    """Tell what the lines that are stored held and the service did not take."""
    numbers = {each.line for each in refused}
    for line in lines:
        if line.number in numbers:
            continue
        report.count_left_out(line.left_out)
        for each in line.prompt.kept.dropped:
            report.count_dropped(each.reason)
        if keep_labels and line.labels_left_out is not None:
            report.tell_labels_left_out(
                [RejectedLine(line=line.number, detail=line.labels_left_out)]
            )


async def running_imports(session: AsyncSession, project_name: str) -> RunningImports:
    """The imports of a project that run, or whose prompts are not planned yet; oldest first.

    Raises:
        UnknownProject: no project has that name.
    """
    project = await projects.find_project(session, project_name)
    return RunningImports(
        imports=[
            ImportProgress(
                id=encode(IdKind.IMPORT, row.id),
                started_at=row.started_at,
                is_running=row.is_running,
                created=row.created,
                extended=row.extended,
                unchanged=row.unchanged,
                rejected=row.rejected,
            )
            for row in await queries.list_imports(session, project.id)
        ]
    )
