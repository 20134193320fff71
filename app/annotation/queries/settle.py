"""The SQL of answers to assignments: what they are about, and all that follows from them."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from decimal import Decimal

from sqlalchemy import and_, bindparam, select, text
from sqlalchemy.ext.asyncio import AsyncSession

from app.accounts.service import Principal
from app.storage.tables import Assignment, Label, Pair, Project


@dataclass(frozen=True, slots=True)
class AnsweredAssignment:
    """An assignment, its pair, and the label that answers it, if one does."""

    assignment: Assignment
    pair: Pair
    label: Label | None


# Served by the primary keys; whose an assignment is, and of which project, never changes.
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
# Served by the primary keys and uq_labels_live; built once, for the labels.
_ANSWERED = (
    select(Assignment, Pair, Label)
    .join(Pair, Pair.id == Assignment.pair_id)
    .outerjoin(
        Label,
        and_(
            Label.pair_id == Assignment.pair_id,
            Label.annotator == bindparam("annotator"),
            Label.status != "withdrawn",
        ),
    )
    .where(
        Assignment.id.in_(bindparam("assignment_ids", expanding=True)),
        Assignment.annotator_id == bindparam("annotator_id"),
    )
    .execution_options(populate_existing=True)
)


async def lock_their_projects(
    session: AsyncSession, assignment_ids: Sequence[int], annotator_id: int
) -> Sequence[Project]:
    """The projects of an annotator's assignments, their rows locked; those of others left out."""
    parameters = {"assignment_ids": assignment_ids, "annotator_id": annotator_id}
    return (await session.scalars(_LOCK_THEIR_PROJECTS, parameters)).all()


async def answered_assignments(
    session: AsyncSession, assignment_ids: Sequence[int], principal: Principal
) -> dict[int, AnsweredAssignment]:
    """An annotator's assignments, their pairs and its live labels, under the project's lock."""
    parameters = {
        "assignment_ids": assignment_ids,
        "annotator_id": principal.id,
        "annotator": principal.name,
    }
    rows = await session.execute(_ANSWERED, parameters)
    return {row[0].id: AnsweredAssignment(*row) for row in rows}


# Each answer is another pair's: a pair has one assignment an annotator.
_WRITE_ANSWERS = text(
    """
    WITH answer AS (
        SELECT * FROM unnest(
            CAST(:prompt_id AS bigint[]), CAST(:pair_id AS bigint[]),
            CAST(:assignment_id AS bigint[]), CAST(:annotator AS text[]),
            CAST(:choice AS text[]), CAST(:preferred_response_id AS bigint[]),
            CAST(:rejected_response_id AS bigint[]), CAST(:strength AS smallint[]),
            CAST(:seconds AS float8[]), CAST(:rationale AS text[]), CAST(:edited AS text[]),
            CAST(:status AS text[]), CAST(:cost AS numeric[]), CAST(:freed AS numeric[])
        ) WITH ORDINALITY AS answer (
            prompt_id, pair_id, assignment_id, annotator, choice, preferred_response_id,
            rejected_response_id, strength, seconds, rationale, edited, status, cost, freed, place
        )
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
    ), written AS (
        INSERT INTO labels (
            project_id, prompt_id, pair_id, assignment_id, annotator, choice,
            preferred_response_id, rejected_response_id, strength, seconds, rationale, edited,
            status, cost
        )
        SELECT
            :project_id, prompt_id, pair_id, assignment_id, annotator, choice,
            preferred_response_id, rejected_response_id, strength, seconds, rationale, edited,
            status, cost
        FROM answer
        ORDER BY place
        RETURNING id, assignment_id
    ), entries AS (
        INSERT INTO ledger_entries (project_id, kind, assignment_id, label_id, spent, reserved)
        SELECT :project_id, 'settle', assignment_id, written.id, cost, -freed
        FROM answer JOIN written USING (assignment_id)
        ORDER BY place
    ), project AS (
        UPDATE projects
        SET counted_labels = counted_labels + counted, surplus_labels = surplus_labels + surplus,
            spent = spent + cost, reserved = reserved - freed
        FROM (
            SELECT count(*) FILTER (WHERE status = 'counted') AS counted,
                count(*) FILTER (WHERE status = 'surplus') AS surplus,
                sum(cost) AS cost, sum(freed) AS freed
            FROM answer
        ) AS new
        WHERE projects.id = :project_id
        RETURNING spent, reserved
    )
    SELECT id, assignment_id, spent, reserved FROM written CROSS JOIN project
    """
)
_ANSWER_COLUMNS = (
    "prompt_id",
    "pair_id",
    "assignment_id",
    "annotator",
    "choice",
    "preferred_response_id",
    "rejected_response_id",
    "strength",
    "seconds",
    "rationale",
    "edited",
    "status",
    "cost",
)


async def write_answers(
    session: AsyncSession, project_id: int, answers: Mapping[Label, Decimal]
) -> tuple[Decimal, Decimal]:
    """Write the labels of held or lapsed assignments, and all that follows; the ledger, too.

    ``answers`` gives for each label what its assignment has reserved until now. One statement;
    the labels get their numbers. Gives what the project has spent and reserved after it.
    """
    columns = {name: [getattr(label, name) for label in answers] for name in _ANSWER_COLUMNS}
    written = await session.execute(
        _WRITE_ANSWERS, {"project_id": project_id, "freed": list(answers.values()), **columns}
    )
    rows = written.all()
    numbers = {row.assignment_id: row.id for row in rows}
    for label in answers:
        assert label.assignment_id is not None
        label.id = numbers[label.assignment_id]
    return rows[0].spent, rows[0].reserved
