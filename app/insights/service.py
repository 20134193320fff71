"""A project's figures, and an annotator's own.

Ledger and counts are always current: they come from counters and from small partial indexes. The
other figures of a project read all of its labels (``ix_labels_listing``) or all of its pairs, so
they are cached in each process. Measured on two busy cores: 1.9 s at 440,000 labels, growing with
their number. An annotator's own figures read that annotator's labels alone
(``ix_labels_annotator``): 0.05 s for a fiftieth of them.
"""

import asyncio
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from datetime import UTC, datetime, time, timedelta
from typing import Any, Final

import numpy as np
from sqlalchemy import Row
from sqlalchemy.ext.asyncio import AsyncSession

from app.accounts.service import Principal
from app.insights.cache import Cache
from app.insights.queries import figures as queries
from app.insights.schemas import (
    Agreement,
    AnnotatorFigures,
    CurvePoint,
    GrowthLaw,
    Interval,
    LabelEfficiency,
    LabelsOfAnnotator,
    LabelsOfDay,
    LabelTotals,
    OwnCounts,
    OwnFigures,
    OwnStats,
    SimilarityHistogram,
    Stats,
)
from app.insights.statistics import krippendorff_alpha, wilson_interval
from app.preference.measurement import CurveMeasurement, measure_curve
from app.preference.service import curve_of, read_evidence
from app.projects import service as projects
from app.projects.views import counts_view, ledger_view
from app.storage.sessions import Sessions

_BINS: Final = 40
_ALL_PROJECTS: Final = 0  # no project has this number
_RECENT_DAYS: Final = 14
_EDGES: Final = [round(-1 + number * 2 / _BINS, 4) for number in range(_BINS + 1)]


@dataclass(frozen=True, slots=True)
class ExpensiveFigures:
    """The figures of a project that are cached."""

    labels_per_day: list[LabelsOfDay]
    annotators: list[AnnotatorFigures]
    agreement: Agreement
    similarity_histogram: SimilarityHistogram


async def project_stats(
    sessions: Sessions, cache: Cache[ExpensiveFigures], project_name: str
) -> Stats:
    """All figures of a project, for an admin.

    Raises:
        UnknownProject: no project has that name.
    """
    async with sessions() as session:
        row = await projects.get_project(session, project_name)
    # No connection is held here, because many callers may wait for one computation.
    project = row.project
    figures = await cache.get(
        project.id,
        project.counted_labels,
        lambda: _compute(sessions, project.id),
        renamings=project.renamings,
    )
    return Stats(
        ledger=ledger_view(row.project, row.lapsed_reserved),
        counts=counts_view(row),
        labels_per_day=figures.labels_per_day,
        annotators=figures.annotators,
        agreement=figures.agreement,
        similarity_histogram=figures.similarity_histogram,
    )


async def label_efficiency(
    sessions: Sessions, cache: Cache[CurveMeasurement], project_name: str
) -> LabelEfficiency:
    """The curve of a project, for an admin, with advice for the current budget.

    Raises:
        UnknownProject: no project has that name.
    """
    async with sessions() as session:
        project = await projects.find_project(session, project_name)

    async def measure_now() -> CurveMeasurement:
        async with sessions() as session:
            evidence = await read_evidence(session, project)
        return await asyncio.to_thread(measure_curve, evidence)

    measured = await cache.get(project.id, project.counted_labels, measure_now)
    curve = curve_of(project, measured)
    return LabelEfficiency(
        points=[CurvePoint(**asdict(point)) for point in curve.points],
        fit=None if curve.fit is None else GrowthLaw(**dict(zip("abc", curve.fit, strict=True))),
        forecast=[CurvePoint(**asdict(point)) for point in curve.forecast],
        advice=curve.advice,
        test_labels=curve.test_labels,
    )


async def label_totals(sessions: Sessions, cache: Cache[LabelTotals]) -> LabelTotals:
    """How many labels each annotator has over all projects, for an admin."""

    async def count() -> LabelTotals:
        async with sessions() as session:
            rows = await queries.labels_by_annotator(session)
        return LabelTotals(
            annotators=[LabelsOfAnnotator(name=row.name, labels=row.labels) for row in rows]
        )

    return await cache.get(_ALL_PROJECTS, 0, count)


async def own_stats(sessions: Sessions, principal: Principal, project_name: str) -> OwnStats:
    """An annotator's own figures in a project.

    Without the histogram, and without the annotator's own agreement: by changing a label and
    watching it, an annotator would learn what the others answered.

    Raises:
        UnknownProject: no project has that name, or it is not one of the annotator's.
    """
    async with sessions() as session:
        project = await projects.find_project(session, project_name, principal)
        row = await projects.get_project(session, project_name)
        days = await _labels_per_day(session, project.id, principal.name)
        own = await queries.annotators(session, project.id, principal.name)
        counts = OwnCounts(
            pending_prompts=row.pending,
            held_assignments=await queries.held_by(session, project.id, principal.id),
            labels=sum(found.labels for found in own),
            surplus_labels=await queries.surplus_of(session, project.id, principal.name),
        )
    return OwnStats(
        ledger=ledger_view(row.project, row.lapsed_reserved),
        counts=counts,
        labels_per_day=days,
        annotators=[_own_figures(found) for found in own],
    )


async def _compute(sessions: Sessions, project_id: int) -> ExpensiveFigures:
    async with sessions() as session:
        days = await _labels_per_day(session, project_id)
        found = await queries.annotators(session, project_id)
        agreement = await queries.agreement(session, project_id)
        patterns = await queries.answer_patterns(session, project_id)
        bins = await queries.similarities(session, project_id, _BINS)
        recent = await _recent_days(session, project_id)
    return ExpensiveFigures(
        labels_per_day=days,
        annotators=[
            AnnotatorFigures(
                **dict(_own_figures(row)),
                agreement=agreement.get(row.name),
                labels_per_day=recent.get(row.name, []),
            )
            for row in found
        ],
        agreement=_agreement(patterns),
        similarity_histogram=_histogram(bins),
    )


async def _labels_per_day(
    session: AsyncSession, project_id: int, annotator: str | None = None
) -> list[LabelsOfDay]:
    rows = await queries.labels_per_day(session, project_id, annotator)
    return [LabelsOfDay(day=day, labels=labels) for day, labels in rows]


async def _recent_days(session: AsyncSession, project_id: int) -> dict[str, list[LabelsOfDay]]:
    first = datetime.now(UTC).date() - timedelta(days=_RECENT_DAYS - 1)
    since = datetime.combine(first, time(), UTC)
    recent: dict[str, list[LabelsOfDay]] = {}
    for name, day, labels in await queries.labels_per_annotator_and_day(session, project_id, since):
        recent.setdefault(name, []).append(LabelsOfDay(day=day, labels=labels))
    return recent


def _own_figures(row: Row[str, int, float | None, int, int]) -> OwnFigures:
    name, labels, median_seconds, left, right = row
    sided = left + right
    rate = interval = None
    if sided:
        low, high = wilson_interval(left, sided)
        rate, interval = left / sided, Interval(low=low, high=high)
    return OwnFigures(
        name=name,
        labels=labels,
        median_seconds=median_seconds,
        left_rate=rate,
        left_rate_interval=interval,
    )


def _agreement(patterns: Sequence[Row[Any]]) -> Agreement:
    counts = np.array([tuple(row) for row in patterns], dtype=np.int64)
    counts = counts.reshape(-1, 1 + len(queries.ANSWERS))
    pairs = counts[:, 0]
    return Agreement(
        krippendorff_alpha=krippendorff_alpha(counts[:, 1:], pairs), pairs=int(pairs.sum())
    )


def _histogram(bins: Sequence[Row[int, int, int]]) -> SimilarityHistogram:
    histogram = SimilarityHistogram(edges=_EDGES, open=[0] * _BINS, labelled=[0] * _BINS)
    for number, is_open, labelled in bins:
        histogram.open[number] = is_open
        histogram.labelled[number] = labelled
    return histogram
