"""Import of any number of lines: read as a stream, stored a batch at a time."""

import asyncio
from collections.abc import AsyncIterable, AsyncIterator, Sequence

from sqlalchemy.ext.asyncio import AsyncSession

from app.errors import AppError
from app.projects import service as projects
from app.prompts.import_lines import BadLine, GoodLine, read_lines
from app.prompts.imported_labels import ImportedLabel, Outcome, store_imported_labels
from app.prompts.intake import Intake, Taken, finish, take_in
from app.prompts.lines import Line, LineSplitter
from app.prompts.views import ImportReport, RejectedLine
from app.settings import MAX_LINE_BYTES, MAX_REJECTED_LINES_TOLD
from app.storage.sessions import Sessions

_BATCH_LINES = 500
_BATCH_BYTES = 8 * 1024 * 1024


async def import_prompts(
    sessions: Sessions, project_name: str, chunks: AsyncIterable[bytes], *, keep_labels: bool
) -> ImportReport:
    """Store the prompts of a stream of lines. Good lines are kept, bad ones are told.

    A batch is stored as a whole, in a transaction of its own: where the stream breaks off, the
    batches before stay, and nothing of the one under way.

    Raises:
        UnknownProject: no project has that name.
    """
    async with sessions.begin() as session:
        project_id = (await projects.find_project(session, project_name)).id
    report = ImportReport(created=0, unchanged=0, labels=0, rejected=[], rejected_count=0)
    async for batch in _batches(chunks):
        # In a thread: other requests are served while a batch is parsed.
        good, bad = await asyncio.to_thread(read_lines, batch)
        if good:
            async with sessions.begin() as session:
                bad += await _store(session, project_id, good, report, keep_labels=keep_labels)
        _tell(report, bad)
    return report


async def _batches(chunks: AsyncIterable[bytes]) -> AsyncIterator[list[Line]]:
    """Lines by the batch; one batch and one line are in memory at most."""
    splitter = LineSplitter(MAX_LINE_BYTES)
    batch: list[Line] = []
    size = 0
    async for chunk in chunks:
        for line in splitter.feed(chunk):
            batch.append(line)
            size += len(line.content or b"")
            if len(batch) >= _BATCH_LINES or size >= _BATCH_BYTES:
                yield batch
                batch, size = [], 0
    batch.extend(splitter.finish())
    if batch:
        yield batch


async def _store(
    session: AsyncSession,
    project_id: int,
    lines: Sequence[GoodLine],
    report: ImportReport,
    *,
    keep_labels: bool,
) -> list[BadLine]:
    """Store one batch and count it; gives the lines that contradict what is stored."""
    intake = await take_in(session, project_id, [line.prompt for line in lines])
    labels = 0
    refused = [
        BadLine(line.number, outcome.detail)
        for line, outcome in zip(lines, intake.outcomes, strict=True)
        if isinstance(outcome, AppError)
    ]
    if keep_labels:
        labels, contradicted = await _store_labels(session, intake, lines)
        refused += contradicted
    await finish(session, intake)
    report.created += intake.created
    report.unchanged += len(intake.taken) - intake.created
    report.labels += labels
    return refused


async def _store_labels(
    session: AsyncSession, intake: Intake, lines: Sequence[GoodLine]
) -> tuple[int, list[BadLine]]:
    """How many labels are new, and the lines of which some contradict what stands."""
    numbers: list[int] = []
    labels: list[ImportedLabel] = []
    for line, outcome in zip(lines, intake.outcomes, strict=True):
        if isinstance(outcome, Taken):
            found = _labels(line, outcome)
            labels += found
            numbers += [line.number] * len(found)
    stored = await store_imported_labels(session, intake.project_id, labels)
    conflicts: dict[int, int] = {}
    for number, each in zip(numbers, stored, strict=True):
        if each.outcome is Outcome.CONFLICT:
            conflicts[number] = conflicts.get(number, 0) + 1
    created = sum(each.outcome is Outcome.CREATED for each in stored)
    return created, [
        BadLine(
            number,
            f"the prompt is stored, but not {count} of its preferences:"
            " the same annotator has judged the pair otherwise",
        )
        for number, count in conflicts.items()
    ]


def _labels(line: GoodLine, taken: Taken) -> list[ImportedLabel]:
    labels = []
    for preference in line.preferences:
        first, second = sorted(taken.responses[place].id for place in preference.responses)
        preferred = preference.preferred
        labels.append(
            ImportedLabel(
                prompt_id=taken.id,
                response_ids=(first, second),
                preferred_response_id=None if preferred is None else taken.responses[preferred].id,
                annotator=preference.annotator,
            )
        )
    return labels


def _tell(report: ImportReport, bad: Sequence[BadLine]) -> None:
    report.rejected_count += len(bad)
    room = MAX_REJECTED_LINES_TOLD - len(report.rejected)
    report.rejected += [
        RejectedLine(line=each.number, detail=each.detail)
        for each in sorted(bad, key=lambda each: each.number)[:room]
    ]
