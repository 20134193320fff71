"""Import any number of lines: read them as a stream, and store them a batch at a time."""

from collections.abc import AsyncIterable, Sequence
from contextlib import aclosing

from sqlalchemy.ext.asyncio import AsyncSession

from app.annotation.imported_labels import ImportedLabel, Outcome, store_imported_labels
from app.annotation.schemas import IMPORT_ANNOTATOR
from app.errors import AppError
from app.imports.batches import read_ahead, read_batches
from app.imports.lines import GoodLine
from app.imports.schemas import ImportReport, RejectedLine
from app.projects import service as projects
from app.prompts.intake import Intake, Taken, finish, take_in
from app.storage.sessions import Sessions


async def import_prompts(
    sessions: Sessions,
    project_name: str,
    chunks: AsyncIterable[bytes],
    *,
    keep_labels: bool,
    keep_extra: bool = False,
    is_document: bool = False,
) -> ImportReport:
    """Store the prompts of a stream of lines. Good lines are stored, bad ones are reported.

    Each batch is stored in its own transaction while the next one is read. If the stream breaks
    off, the batches before stay, and nothing of the current one does. ``is_document``: the stream
    is JSON as a whole, and each of its values counts as a line.

    Raises:
        UnknownProject: no project has that name, or it has been deleted since.
        UnsupportedMedia: the stream is another kind of file, or in another encoding.
    """
    async with sessions.begin() as session:
        project_id = (await projects.find_project(session, project_name)).id
    report = ImportReport()
    lines = read_batches(chunks, is_document=is_document, keep_extra=keep_extra)
    async with aclosing(read_ahead(lines)) as batches:
        async for good, bad in batches:
            refused: list[RejectedLine] = []
            if good:
                async with sessions.begin() as session:
                    refused = await _store(
                        session, project_id, good, report, keep_labels=keep_labels
                    )
            report.tell_rejected(bad + refused)
    return report


async def _store(
    session: AsyncSession,
    project_id: int,
    lines: Sequence[GoodLine],
    report: ImportReport,
    *,
    keep_labels: bool,
) -> list[RejectedLine]:
    """Store a batch and count it in the report; gives the lines that contradict what is stored."""
    if keep_labels and any(line.preferences for line in lines):
        await projects.lock_project(session, project_id)
    intake = await take_in(session, project_id, [line.prompt for line in lines])
    labels = 0
    refused = [
        RejectedLine(line=line.number, detail=outcome.detail)
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
    for line, outcome in zip(lines, intake.outcomes, strict=True):
        if isinstance(outcome, Taken):
            _tell_left_out(report, line, keep_labels=keep_labels)
    return refused


def _tell_left_out(report: ImportReport, line: GoodLine, *, keep_labels: bool) -> None:
    report.count_left_out(line.left_out)
    for each in line.prompt.kept.dropped:
        if each.reason == "empty":
            report.dropped.empty += 1
        else:
            report.dropped.duplicate += 1
    if keep_labels and line.labels_left_out is not None:
        report.tell_labels_left_out([RejectedLine(line=line.number, detail=line.labels_left_out)])


async def _store_labels(
    session: AsyncSession, intake: Intake, lines: Sequence[GoodLine]
) -> tuple[int, list[RejectedLine]]:
    """How many labels are new, and the lines with a label that contradicts a stored one."""
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
        RejectedLine(
            line=number,
            detail=f"the prompt is stored, but not {count} of its preferences:"
            " the same annotator has judged the pair otherwise",
        )
        for number, count in conflicts.items()
    ]


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
