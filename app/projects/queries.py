"""All SQL of the projects room."""

from typing import Any, Final

from sqlalchemy import (
    ColumnElement,
    Row,
    Select,
    bindparam,
    case,
    delete,
    func,
    literal,
    select,
    text,
    true,
    update,
)
from sqlalchemy.dialects.postgresql import insert
from sqlalchemy.ext.asyncio import AsyncSession

from app.projects.views import ProjectRow
from app.storage import predicates
from app.storage.arm import Arm
from app.storage.rounds import latest_round
from app.storage.tables import (
    AnnotatorProject,
    Assignment,
    Pair,
    Project,
    ProjectIntake,
    Prompt,
)


async def find(session: AsyncSession, name: str) -> Project | None:
    """The project of that name. Served by the unique index on ``name``."""
    return await session.scalar(select(Project).where(Project.name == name))


# FOR NO KEY UPDATE lets other transactions insert rows that refer to the project. Built once, since
# every claim and every label begins with one of these.
_LOCKED = select(Project).with_for_update(key_share=True).execution_options(populate_existing=True)
_LOCK = _LOCKED.where(Project.id == bindparam("project_id"))
_LOCK_BY_NAME = _LOCKED.where(Project.name == bindparam("name"))


async def lock(session: AsyncSession, project_id: int) -> Project | None:
    """The project's row, locked: the first lock of every change to ledger or assignments."""
    return await session.scalar(_LOCK, {"project_id": project_id})


async def lock_by_name(session: AsyncSession, name: str) -> Project | None:
    """The row of the project of that name, locked."""
    return await session.scalar(_LOCK_BY_NAME, {"name": name})


async def insert_project(session: AsyncSession, values: dict[str, Any]) -> Project | None:
    """Add a project; None if the name is taken."""
    project = await session.scalar(
        insert(Project)
        .values(values)
        .on_conflict_do_nothing(index_elements=[Project.name])
        .returning(Project)
    )
    if project is not None:
        await session.execute(insert(ProjectIntake).values(project_id=project.id))
    return project


def _select_rows() -> Select[Any]:
    """The fields of ``ProjectRow``."""
    # Each count is served by a partial index of few rows: the open pairs, the held assignments.
    open_pairs = (
        select(func.count()).where(Pair.project_id == Project.id, Pair.open).scalar_subquery()
    )
    has_lapsed = Assignment.expires_at < func.clock_timestamp()
    held = (
        select(
            func.count().filter(~has_lapsed).label("held"),
            func.coalesce(func.sum(Assignment.reserved).filter(has_lapsed), 0).label(
                "lapsed_reserved"
            ),
        )
        .where(Assignment.project_id == Project.id, text(predicates.HELD_ASSIGNMENT))
        .lateral()
    )
    return (
        select(
            Project,
            ProjectIntake.prompts,
            ProjectIntake.pending,
            ProjectIntake.failed,
            open_pairs.label("open_pairs"),
            held.c.held,
            held.c.lapsed_reserved,
            latest_round(Project.id).label("latest_round"),
        )
        .join(ProjectIntake, ProjectIntake.project_id == Project.id)
        .join(held, true())
        .execution_options(populate_existing=True)
    )


async def list_projects(
    session: AsyncSession, *, member: int | None, after_id: int, limit: int
) -> list[ProjectRow]:
    """A page of projects by number: those of one annotator, or all where ``member`` is None."""
    chosen = _select_rows().where(Project.id > after_id)
    if member is not None:
        chosen = chosen.join(AnnotatorProject, AnnotatorProject.project_id == Project.id)
        chosen = chosen.where(AnnotatorProject.annotator_id == member)
    rows = await session.execute(chosen.order_by(Project.id).limit(limit))
    return list(map(_read_row, rows))


async def get_row(session: AsyncSession, project_id: int) -> ProjectRow:
    """A project with its counts."""
    return _read_row((await session.execute(_select_rows().where(Project.id == project_id))).one())


def _read_row(row: Row[Any]) -> ProjectRow:
    return ProjectRow(
        project=row.Project,
        prompts=row.prompts,
        pending=row.pending,
        failed=row.failed,
        open_pairs=row.open_pairs,
        held=row.held,
        lapsed_reserved=row.lapsed_reserved,
        latest_round=row.latest_round,
    )


def _labels_wanted(project: Project) -> ColumnElement[int]:
    with_overlap = max(project.labels_per_pair, project.overlap_labels)
    return case(
        (Pair.overlap_draw < project.overlap_share, literal(with_overlap)),
        else_=project.labels_per_pair,
    )


async def has_pair_with_more_labels(session: AsyncSession, project: Project) -> bool:
    """Whether a pair has, or is about to get, more labels than the project now wants."""
    pair = await session.scalar(
        select(Pair.id)
        .where(
            Pair.project_id == project.id,
            Pair.handed_out,
            Pair.held + Pair.counted > _labels_wanted(project),
        )
        .limit(1)
    )
    return pair is not None


async def set_labels_wanted(session: AsyncSession, project: Project) -> None:
    """Give the pairs of the plan the number of labels that the project now wants."""
    wanted = _labels_wanted(project)
    await session.execute(
        update(Pair)
        .where(
            Pair.project_id == project.id,
            Pair.arm.not_in((Arm.IMPORTED, Arm.AUTOMATIC)),
            Pair.labels_wanted != wanted,
        )
        .values(labels_wanted=wanted)
    )


async def delete_project(session: AsyncSession, project_id: int) -> None:
    """Erase a project and all its data.

    Its prompts are locked first, in the order of their ids: an embedder that has locked some of
    them will want other rows of the project after them.
    """
    prompts = select(Prompt.id).where(Prompt.project_id == project_id)
    await session.execute(prompts.order_by(Prompt.id).with_for_update())
    await session.execute(delete(Prompt).where(Prompt.project_id == project_id))
    await session.execute(delete(Project).where(Project.id == project_id))


_PRICED_PAIRS: Final = 1000


async def expected_pair_seconds(session: AsyncSession, project_id: int) -> float | None:
    """What the first pairs of the plan are expected to take, on average; None without any.

    Served by ``ix_pairs_open``.
    """
    first = (
        select(Pair.expected_seconds)
        .where(Pair.project_id == project_id, text(predicates.OPEN_PAIR))
        .order_by(Pair.arm, Pair.position, Pair.id)
        .limit(_PRICED_PAIRS)
        .subquery()
    )
    seconds: float | None = await session.scalar(select(func.avg(first.c.expected_seconds)))
    return seconds
