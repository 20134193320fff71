"""The SQL that settles answers: find what they are about, write them and all that follows."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from decimal import Decimal
from typing import Final

from sqlalchemy import and_, bindparam, select, text
from sqlalchemy.ext.asyncio import AsyncSession
from sqlalchemy.orm import aliased

from app.accounts.service import Principal
from app.annotation.queries.ledger import Totals, write_ledger
from app.storage import predicates
from app.storage.sql import read_as, statement
from app.storage.tables import Annotator, Assignment, Label, Pair, Project


@dataclass(frozen=True, slots=True)
class AnsweredAssignment:
    """An assignment, its pair, and its annotator's live labels of that pair.

    These are the label that answers it, if one does, and those that were made elsewhere.
    """

    assignment: Assignment
    pair: Pair
    annotator: str
    """The annotator's name, which stays until the transaction ends."""
    labels: list[Label] = field(default_factory=list)


# Served by the primary keys. An assignment's annotator and project never change.
_LOCK_THEIR_PROJECTS = (
    select(Project)
    .where(
        Project.id.in_(
            select(Assignment.project_id).where(
                Assignment.id.in_(bindparam("assignment_ids", expanding=True)),
                Assignment.annotator_id == bindparam("annotator_id"),
            )
        )
    )
    .order_by(Project.id)
    .with_for_update(key_share=True)
    .execution_options(populate_existing=True)
)
# Served by the primary keys and uq_labels_live; built once, for every label. Assignments have a
# status too, so the condition on labels stands in a subquery. The annotator's row is locked: a new
# name waits for these labels.
_LIVE_LABEL = aliased(
    Label, select(Label).where(text(predicates.LIVE_LABEL)).subquery(), name="label"
)
_ANSWERED = (
    select(Assignment, Pair, _LIVE_LABEL, Annotator.name.label("annotator"))
    .join(Pair, Pair.id == Assignment.pair_id)
    .join(Annotator, Annotator.id == Assignment.annotator_id)
    .outerjoin(
        _LIVE_LABEL,
        and_(
            _LIVE_LABEL.pair_id == Assignment.pair_id,
            _LIVE_LABEL.annotator == bindparam("annotator"),
        ),
    )
    .where(
        Assignment.id.in_(bindparam("assignment_ids", expanding=True)),
        Assignment.annotator_id == bindparam("annotator_id"),
    )
    .with_for_update(of=Annotator, read=True, key_share=True)
    .execution_options(populate_existing=True)
)


async def lock_their_projects(
    session: AsyncSession, assignment_ids: Sequence[int], annotator_id: int
) -> Sequence[Project]:
    """The projects of these assignments, their rows locked. Others' assignments are left out."""
    parameters = {"assignment_ids": assignment_ids, "annotator_id": annotator_id}
    return (await session.scalars(_LOCK_THEIR_PROJECTS, parameters)).all()


async def answered_assignments(
    session: AsyncSession, assignment_ids: Sequence[int], principal: Principal
) -> dict[int, AnsweredAssignment]:
    """The annotator's own among these assignments. Their projects are locked."""
    parameters = {
        "assignment_ids": assignment_ids,
        "annotator_id": principal.id,
        "annotator": principal.name,
    }
    rows = (await session.execute(_ANSWERED, parameters)).all()
    if rows and rows[0].annotator != principal.name:
        # Renamed since the request came: labels are found by the new name.
        rows = (
            await session.execute(_ANSWERED, parameters | {"annotator": rows[0].annotator})
        ).all()
    found: dict[int, AnsweredAssignment] = {}
    for row in rows:
        answered = found.setdefault(
            row.Assignment.id, AnsweredAssignment(row.Assignment, row.Pair, row.annotator)
        )
        if row.label is not None:
            answered.labels.append(row.label)
    return found


_COLUMNS: Final = {
    "prompt_id": "bigint",
    "pair_id": "bigint",
    "assignment_id": "bigint",
    "annotator": "text",
    "choice": "text",
    "preferred_response_id": "bigint",
    "rejected_response_id": "bigint",
    "strength": "smallint",
    "seconds": "float8",
    "rationale": "text",
    "edited": "text",
    "edited_rejected": "text",
    "status": "text",
    "cost": "numeric",
}
"""The columns of ``labels`` that an answer sets, and their types."""

# No two answers are of one pair: an annotator has one assignment of a pair.
_WRITE_ANSWERS = statement(
    """
    WITH answer AS (
        SELECT * FROM unnest({sent}, CAST(:freed AS numeric[]))
        WITH ORDINALITY AS answer ({columns}, freed, place)
    ), judged AS (
        UPDATE pairs
        SET held = pairs.held - (assignments.status = 'held')::int,
            counted = pairs.counted + (answer.status = 'counted')::int,
            skips = pairs.skips + (answer.status = 'skipped')::int
        FROM answer JOIN assignments ON assignments.id = answer.assignment_id
        WHERE pairs.id = answer.pair_id
    ), settled AS (
        UPDATE assignments SET status = 'answered'
        FROM answer WHERE assignments.id = answer.assignment_id
    ), contradicted AS (
        SELECT labels.id, answer.place
        FROM answer
        JOIN (SELECT id, pair_id, {said} AS said FROM labels WHERE {judging}) AS labels
            ON labels.pair_id = answer.pair_id
        WHERE answer.choice <> 'skip'
            AND said <> {said}
    ), disputed AS (
        UPDATE labels SET disputed = true
        FROM contradicted WHERE labels.id = contradicted.id AND NOT disputed
    ), written AS (
        INSERT INTO labels (project_id, {columns}, disputed)
        SELECT :project_id, {columns}, place IN (SELECT place FROM contradicted)
        FROM answer
        ORDER BY place
        RETURNING id, assignment_id
    ), changes AS (
        SELECT 'settle' AS kind, assignment_id, written.id AS label_id, cost AS spent,
            -freed AS reserved, place
        FROM answer JOIN written USING (assignment_id)
    ), {write_ledger}
    SELECT id, assignment_id, total_spent, total_reserved FROM written CROSS JOIN totals
    """,
    columns=", ".join(_COLUMNS),
    said=predicates.ANSWER,
    judging=predicates.JUDGING_LABEL,
    sent=", ".join(f"CAST(:{column} AS {kind}[])" for column, kind in _COLUMNS.items()),
    write_ledger=write_ledger(
        counters="counted_labels = counted_labels"
        " + (SELECT count(*) FROM answer WHERE status = 'counted'),"
        " surplus_labels = surplus_labels"
        " + (SELECT count(*) FROM answer WHERE status = 'surplus'),"
    ),
)


async def write_answers(
    session: AsyncSession, project_id: int, answers: Mapping[Label, Decimal]
) -> Totals:
    """Write labels and update their pairs, assignments, project and ledger, in one statement.

    ``answers`` gives for each label what its assignment has reserved until now; there is at least
    one. The labels get their ids.
    """
    columns = {name: [getattr(label, name) for label in answers] for name in _COLUMNS}
    written = await session.execute(
        _WRITE_ANSWERS, {"project_id": project_id, "freed": list(answers.values()), **columns}
    )
    rows = written.all()
    numbers = {row.assignment_id: row.id for row in rows}
    for label in answers:
        assert label.assignment_id is not None
        label.id = numbers[label.assignment_id]
    return read_as(Totals, rows[0])
