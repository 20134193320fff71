"""SQL of the figures.

Queries without an index of their own read all labels or pairs of a project; ``service.py`` caches
their results.
"""

from collections.abc import Sequence
from datetime import date, datetime
from decimal import Decimal
from typing import Any, Final, Literal

from sqlalchemy import (
    ColumnElement,
    Row,
    Subquery,
    and_,
    case,
    func,
    literal_column,
    select,
    text,
)
from sqlalchemy.ext.asyncio import AsyncSession

from app.storage.predicates import HELD_ASSIGNMENT
from app.storage.tables import Assignment, Label, Pair

ANSWERS: Final = ("first", "second", "tie", "both_bad")
"""The answers that annotators may agree on: about responses, regardless of sides."""


def _counted(project_id: int, annotator: str | None) -> ColumnElement[bool]:
    """A project's labels that count, or one annotator's of them.

    Served by ``ix_labels_listing`` (the order in which the labels lie) or ``ix_labels_annotator``.
    """
    counted = and_(Label.project_id == project_id, Label.status == "counted")
    return counted if annotator is None else and_(counted, Label.annotator == annotator)


async def labels_per_day(
    session: AsyncSession, project_id: int, annotator: str | None = None
) -> Sequence[Row[date, int]]:
    """The days (UTC) on which labels were given, in order, with how many."""
    day = func.date(func.timezone("UTC", Label.created_at)).label("day")
    rows = await session.execute(
        select(day, func.count().label("labels"))
        .where(_counted(project_id, annotator))
        .group_by(day)
        .order_by(day)
    )
    return rows.all()


async def labels_per_annotator_and_day(
    session: AsyncSession, project_id: int, since: datetime
) -> Sequence[Row[str, date, int]]:
    """The annotators with labels since then, and the days (UTC) on which they gave them."""
    day = func.date(func.timezone("UTC", Label.created_at)).label("day")
    rows = await session.execute(
        select(Label.annotator, day, func.count().label("labels"))
        .where(_counted(project_id, None), Label.created_at >= since)
        .group_by(Label.annotator, day)
        .order_by(Label.annotator, day)
    )
    return rows.all()


async def annotators(
    session: AsyncSession, project_id: int, annotator: str | None = None
) -> Sequence[Row[str, int, float | None, int, int]]:
    """The annotators with labels, by name: how many, how fast, and on which side."""
    # A label made elsewhere has no assignment, and so no side.
    has_side = Label.assignment_id.is_not(None)
    rows = await session.execute(
        select(
            Label.annotator.label("name"),
            func.count().label("labels"),
            func.percentile_cont(0.5).within_group(Label.seconds).label("median_seconds"),
            func.count().filter(has_side, Label.choice == "left").label("left"),
            func.count().filter(has_side, Label.choice == "right").label("right"),
        )
        .where(_counted(project_id, annotator))
        .group_by(Label.annotator)
        .order_by(Label.annotator)
    )
    return rows.all()


async def labels_by_annotator(session: AsyncSession) -> Sequence[Row[str, int]]:
    """Who has labels that count, over all projects, and how many. It reads all labels."""
    rows = await session.execute(
        select(Label.annotator.label("name"), func.count().label("labels"))
        .where(Label.status == "counted")
        .group_by(Label.annotator)
        .order_by(Label.annotator)
    )
    return rows.all()


def _answers(project_id: int) -> Subquery:
    """The answers to the project's pairs that have several, one an annotator, in no order.

    Who gave several answers to a pair (imported labels may) says nothing about it here. The pairs
    are found by a scan, their labels by ``ix_labels_pair``.
    """
    answer = case(
        (Label.preferred_response_id == Pair.first_response_id, "first"),
        (Label.preferred_response_id == Pair.second_response_id, "second"),
        else_=Label.choice,
    )
    given = (
        select(
            Label.pair_id,
            Label.annotator,
            answer.label("answer"),
            func.count().over(partition_by=(Label.pair_id, Label.annotator)).label("answers"),
        )
        .join(Pair, Pair.id == Label.pair_id)
        .where(
            Pair.project_id == project_id,
            Pair.counted + Pair.imported >= 2,
            Label.status == "counted",
        )
        .subquery()
    )
    return (
        select(given.c.pair_id, given.c.annotator, given.c.answer)
        .where(given.c.answers == 1)
        .subquery()
    )


async def answer_patterns(session: AsyncSession, project_id: int) -> Sequence[Row[Any]]:
    """The pairs with several labels, by how many of each of ``ANSWERS`` they have.

    A row has the number of pairs, then the number of each answer.
    """
    given = _answers(project_id)
    per_pair = (
        select(*(func.count().filter(given.c.answer == answer).label(answer) for answer in ANSWERS))
        .group_by(given.c.pair_id)
        .having(func.count() >= 2)
        .subquery()
    )
    columns = [per_pair.c[answer] for answer in ANSWERS]
    rows = await session.execute(select(func.count().label("pairs"), *columns).group_by(*columns))
    return rows.all()


async def agreement(session: AsyncSession, project_id: int) -> dict[str, float]:
    """For each annotator who shares pairs: the share of the others' answers that are the same."""
    given = _answers(project_id)
    beside = select(
        given.c.annotator,
        (func.count().over(partition_by=(given.c.pair_id, given.c.answer)) - 1).label("same"),
        (func.count().over(partition_by=given.c.pair_id) - 1).label("others"),
    ).subquery()
    others = func.sum(beside.c.others)
    rows = await session.execute(
        select(beside.c.annotator, (func.sum(beside.c.same) / others).label("share"))
        .group_by(beside.c.annotator)
        .having(others > 0)
    )
    return {row.annotator: float(row.share) for row in rows}


async def similarities(
    session: AsyncSession, project_id: int, bins: int
) -> Sequence[Row[int, int, int]]:
    """How many open and labelled pairs are in each of ``bins`` bins of similarity, from -1 to 1.

    Bins are numbered from 0; empty ones are left out. A scan.
    """
    bucket = func.width_bucket(Pair.similarity, -1, 1, literal_column(str(bins)))
    # Cosines of half-precision vectors may lie just outside [-1, 1]; 1 itself is in the last bin.
    number = (func.least(func.greatest(bucket, 1), bins) - 1).label("number")
    labelled = Pair.counted + Pair.imported > 0
    rows = await session.execute(
        select(
            number,
            func.count().filter(Pair.open).label("open"),
            func.count().filter(labelled).label("labelled"),
        )
        .where(Pair.project_id == project_id, Pair.similarity.is_not(None))
        .where(Pair.open | labelled)
        .group_by(number)
    )
    return rows.all()


async def held_by(session: AsyncSession, project_id: int, annotator_id: int) -> int:
    """How many pairs an annotator holds. Served by ``ix_assignments_held``."""
    held = await session.execute(
        select(func.count()).where(
            Assignment.annotator_id == annotator_id,
            Assignment.project_id == project_id,
            text(HELD_ASSIGNMENT),
            Assignment.expires_at >= func.clock_timestamp(),
        )
    )
    return held.scalar_one()


async def surplus_of(session: AsyncSession, project_id: int, annotator: str) -> int:
    """How many surplus labels an annotator has. Served by ``ix_labels_annotator``."""
    surplus = await session.execute(
        select(func.count()).where(
            Label.project_id == project_id,
            Label.annotator == annotator,
            Label.status == "surplus",
        )
    )
    return surplus.scalar_one()


# Served by `ix_ledger_entries_spend` alone.
SPEND: Final = text(
    """
    SELECT date_trunc(:step, created_at, 'UTC') AS at, sum(spent) AS spent
    FROM ledger_entries
    WHERE project_id = :project_id AND spent <> 0 AND created_at >= :since
    GROUP BY 1 ORDER BY 1
    """
)


async def spend_since(
    session: AsyncSession, project_id: int, since: datetime, step: Literal["hour", "day"]
) -> Sequence[Row[datetime, Decimal]]:
    """What was spent, less what was refunded, in each hour or day (UTC) that has any."""
    parameters = {"project_id": project_id, "since": since, "step": step}
    return (await session.execute(SPEND, parameters)).all()


# Served by `ix_ledger_entries_spend` alone.
SPEND_A_DAY: Final = text(
    """
    SELECT project_id, sum(spent) / count(DISTINCT date_trunc('day', created_at, 'UTC')) AS a_day
    FROM ledger_entries
    WHERE project_id = ANY(:project_ids) AND spent <> 0 AND created_at >= :since
    GROUP BY project_id
    """
)


async def spend_a_day(
    session: AsyncSession, project_ids: Sequence[int], since: datetime
) -> dict[int, Decimal]:
    """What each project has spent on average on the days on which it spent anything."""
    parameters = {"project_ids": list(project_ids), "since": since}
    rows = await session.execute(SPEND_A_DAY, parameters)
    return {row.project_id: row.a_day for row in rows}
