"""The SQL of looking labels up: lists, counts and searches, newest or oldest first.

Every list reads an index of labels in its order and stops when it is full. For values that may be
rare the index is a partial one: disagreements, reasons, edits, labels that do not count, and those
that prefer neither response. Rare combinations of filters may read many labels.
"""

import json
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Final

from sqlalchemy import (
    BigInteger,
    ColumnElement,
    Result,
    Row,
    Select,
    String,
    and_,
    case,
    cast,
    exists,
    func,
    literal,
    literal_column,
    not_,
    or_,
    select,
)
from sqlalchemy.dialects.postgresql import JSONB
from sqlalchemy.ext.asyncio import AsyncSession
from sqlalchemy.orm import aliased

from app.annotation.review.filters import LabelFilters
from app.storage.ids import IdKind, decode
from app.storage.sql import among
from app.storage.tables import Annotator, Assignment, Label, Pair, Prompt, Response

LookedUp = Row[*tuple[Any, ...]]
"""A row with everything about a label, or about a pair."""

SEARCHED_LABELS: Final = 10_000
"""A search looks through so many labels at once: no index has all texts."""

_CONTENT_OF_TURNS: ColumnElement[Any] = literal_column("CAST('$[*].content' AS jsonpath)")
_First = aliased(Response, name="first")
_Second = aliased(Response, name="second")


@dataclass(frozen=True, slots=True)
class Span:
    """Labels of a project, from ``after_id`` on in the order asked for; 0: from its beginning."""

    project_id: int
    after_id: int
    is_newest_first: bool


def _conditions(filters: LabelFilters, span: Span, label: Any = Label) -> list[ColumnElement[bool]]:
    """What a label must meet, but for the search and the arm.

    Values for which there is a partial index stand in the statement itself: PostgreSQL cannot know
    that a parameter meets the index's condition. The project is a range of one, in whose order
    ``_in_order`` sorts: for an equality, PostgreSQL may read the labels of all projects by number.
    """
    found = [label.project_id.between(span.project_id, span.project_id)]
    if span.after_id:
        further = label.id < span.after_id if span.is_newest_first else label.id > span.after_id
        found.append(further)
    if filters.annotator is not None:
        found.append(label.annotator == filters.annotator)
    if filters.prompt_id is not None:
        # No prompt has the number 0.
        found.append(label.prompt_id == (decode(IdKind.PROMPT, filters.prompt_id) or 0))
    if filters.choice is not None:
        found.append(label.choice == literal(filters.choice, literal_execute=True))
        if filters.choice not in ("left", "right"):
            found.append(label.preferred_response_id.is_(None))
    if filters.status is not None:
        found.append(label.status == literal(filters.status, literal_execute=True))
        if filters.status != "counted":
            found.append(label.status != literal("counted", literal_execute=True))
    if filters.reason is not None:
        found.append(_is_set(label.rationale, filters.reason))
    if filters.edited is not None:
        is_edited = or_(label.edited.is_not(None), label.edited_rejected.is_not(None))
        found.append(is_edited if filters.edited else not_(is_edited))
    if filters.disagreement is not None:
        found.append(label.disputed if filters.disagreement else not_(label.disputed))
    if filters.since is not None:
        found.append(label.created_at >= filters.since)
    return found


def _is_set(column: Any, wanted: bool) -> ColumnElement[bool]:
    condition: ColumnElement[bool] = column.is_not(None) if wanted else column.is_(None)
    return condition


def _contains(searched: str, label: Any) -> ColumnElement[bool]:
    """Whether a text of a label, of its prompt or of the pair's responses has these words."""
    # The words of a prompt are in JSON strings, where some characters are escaped.
    escaped = json.dumps(searched, ensure_ascii=False)[1:-1]
    turns = func.jsonb_path_query_array(Prompt.content, _CONTENT_OF_TURNS, type_=JSONB)
    asked = cast(
        case((func.jsonb_typeof(Prompt.content) == "string", Prompt.content), else_=turns), String
    )
    texts = (_First.text, _Second.text, label.rationale, label.edited, label.edited_rejected)
    return or_(
        asked.icontains(escaped, autoescape=True),
        *(each.icontains(searched, autoescape=True) for each in texts),
    )


def _in_order(statement: Select[Any], span: Span) -> Select[Any]:
    if span.is_newest_first:
        return statement.order_by(Label.project_id.desc(), Label.id.desc())
    return statement.order_by(Label.project_id, Label.id)


def _matching(filters: LabelFilters, span: Span, *columns: Any) -> Select[Any]:
    """Labels that meet the filters, with their pair; in order."""
    statement = (
        select(*columns)
        .select_from(Label)
        .join(Pair, Pair.id == Label.pair_id)
        .where(*_conditions(filters, span))
    )
    if filters.arm is not None:
        statement = statement.where(Pair.arm == filters.arm.value)
    if filters.q is not None:
        statement = _with_texts(statement).where(_contains(filters.q, Label))
    return _in_order(statement, span)


def _with_texts(statement: Select[Any]) -> Select[Any]:
    return (
        statement.join(Prompt, Prompt.id == Label.prompt_id)
        .join(_First, _First.id == Pair.first_response_id)
        .join(_Second, _Second.id == Pair.second_response_id)
    )


async def list_labels(
    session: AsyncSession, filters: LabelFilters, span: Span, *, limit: int, until_id: int | None
) -> list[int]:
    """The numbers of a page of labels. ``until_id``: the last that may be looked at."""
    statement = _matching(filters, span, Label.id).where(_up_to(until_id, span)).limit(limit)
    return list(await session.scalars(statement))


async def list_pairs(
    session: AsyncSession, filters: LabelFilters, span: Span, *, limit: int, until_id: int | None
) -> Sequence[LookedUp]:
    """A page of pairs: the ``pair_id`` of each, and the ``label_id`` that gave it its place.

    That is the first of its labels, in the order, that meets the filters.
    """
    other = aliased(Label, name="other")
    whole = Span(span.project_id, 0, span.is_newest_first)
    comes_before = other.id > Label.id if span.is_newest_first else other.id < Label.id
    matches_too = and_(
        other.pair_id == Label.pair_id, comes_before, *_conditions(filters, whole, other)
    )
    if filters.q is not None:
        matches_too = and_(matches_too, _contains(filters.q, other))
    statement = _matching(filters, span, Label.pair_id, Label.id.label("label_id"))
    found: Result[Any] = await session.execute(
        statement.where(_up_to(until_id, span), ~exists().where(matches_too)).limit(limit)
    )
    return found.all()


def _up_to(until_id: int | None, span: Span) -> ColumnElement[bool]:
    if until_id is None:
        return literal(True, literal_execute=True)
    return Label.id >= until_id if span.is_newest_first else Label.id <= until_id


async def end_of_search(session: AsyncSession, filters: LabelFilters, span: Span) -> int | None:
    """The last label that one request looks at; None if it looks at all that there are."""
    statement = _in_order(select(Label.id).where(*_conditions(filters, span)), span)
    last: int | None = await session.scalar(statement.offset(SEARCHED_LABELS - 1).limit(1))
    return last


async def count_labels(
    session: AsyncSession, project_id: int, filters: Sequence[LabelFilters], *, limit: int
) -> list[int]:
    """How many labels meet each of the filters, without the search; at most ``limit``."""
    span = Span(project_id, 0, is_newest_first=True)
    counts = [
        select(func.count())
        .select_from(_counted(each, span).limit(limit).subquery())
        .scalar_subquery()
        for each in filters
    ]
    return list((await session.execute(select(*counts))).one())


def _counted(filters: LabelFilters, span: Span) -> Select[Any]:
    statement = (
        select(literal(1, literal_execute=True))
        .select_from(Label)
        .where(*_conditions(filters, span))
    )
    if filters.arm is not None:
        statement = statement.join(Pair, Pair.id == Label.pair_id).where(
            Pair.arm == filters.arm.value
        )
    return statement


_WITHDRAWER = aliased(Annotator, name="withdrawer")
_LABELS = (
    select(
        Label,
        Assignment.swapped,
        Pair.first_response_id,
        Pair.second_response_id,
        Pair.similarity,
        Pair.arm,
        _WITHDRAWER.name.label("withdrawn_by"),
    )
    .join(Pair, Pair.id == Label.pair_id)
    .outerjoin(Assignment, Assignment.id == Label.assignment_id)
    .outerjoin(_WITHDRAWER, _WITHDRAWER.id == Label.withdrawn_by)
    .order_by(Label.id)
)


async def read_labels(session: AsyncSession, label_ids: Sequence[int]) -> Sequence[LookedUp]:
    """Labels by number: what was said, on which sides, and who withdrew it.

    Served by the primary keys.
    """
    found: Result[Any] = await session.execute(
        _LABELS.where(among(Label.id, label_ids, BigInteger))
    )
    return found.all()


async def labels_of_pairs(
    session: AsyncSession, pair_ids: Sequence[int], annotator: str | None
) -> Sequence[LookedUp]:
    """All labels of these pairs, withdrawn ones too, or one annotator's. Served by
    ``ix_labels_pair``.
    """
    statement = _LABELS.where(among(Label.pair_id, pair_ids, BigInteger))
    if annotator is not None:
        statement = statement.where(Label.annotator == annotator)
    found: Result[Any] = await session.execute(statement)
    return found.all()


async def read_pairs(session: AsyncSession, pair_ids: Sequence[int]) -> Sequence[LookedUp]:
    """Pairs by number: ``Pair``, ``Prompt``, and their responses ``first`` and ``second``.

    Served by the primary keys.
    """
    found: Result[Any] = await session.execute(
        select(Pair, Prompt, _First, _Second)
        .join(Prompt, Prompt.id == Pair.prompt_id)
        .join(_First, _First.id == Pair.first_response_id)
        .join(_Second, _Second.id == Pair.second_response_id)
        .where(among(Pair.id, pair_ids, BigInteger))
    )
    return found.all()
