"""The rules of projects."""

import secrets
from decimal import Decimal
from typing import Any

from sqlalchemy.ext.asyncio import AsyncSession

from app.accounts import service as accounts
from app.accounts.service import Principal
from app.errors import (
    BudgetBelowSpent,
    DefaultProject,
    FieldError,
    InvalidInput,
    NameTaken,
    TooFewLabelsPerPair,
    UnitInUse,
    UnknownProject,
)
from app.projects import queries
from app.projects.schemas import NewProject, ProjectChange, StrategyList, StrategyView
from app.projects.views import ProjectRow
from app.selection.registry import STRATEGIES
from app.settings import DEFAULT_PROJECT
from app.storage.notifications import Channel, notify
from app.storage.tables import Project


async def find_project(
    session: AsyncSession, name: str, principal: Principal | None = None
) -> Project:
    """The project of that name, if the principal may see it. None: no check is made.

    Raises:
        UnknownProject: there is none, or the principal may not see it.
    """
    project = await queries.find(session, name)
    if project is None or not (
        principal is None or await accounts.may_see_project(session, principal, project.id)
    ):
        raise UnknownProject("no project has that name")
    return project


async def lock_project_by_name(session: AsyncSession, name: str, principal: Principal) -> Project:
    """``find_project`` and ``lock_project`` in one statement, for the claim.

    Raises:
        UnknownProject: there is none, or the principal may not see it.
    """
    project = await queries.lock_by_name(session, name)
    if project is None or not await accounts.may_see_project(session, principal, project.id):
        raise UnknownProject("no project has that name")
    return project


async def lock_project(session: AsyncSession, project_id: int) -> Project:
    """The project, its row locked until the transaction ends.

    Raises:
        UnknownProject: it has been deleted.
    """
    project = await queries.lock(session, project_id)
    if project is None:
        raise UnknownProject("the project has been deleted")
    return project


async def create_project(session: AsyncSession, new: NewProject) -> ProjectRow:
    """Make a project.

    Raises:
        NameTaken: a project of that name exists.
        InvalidInput: an unknown strategy, or a budget in money without an hourly rate.
    """
    columns = _columns(new)
    _check(columns)
    project = await queries.insert_project(session, columns)
    if project is None:
        raise NameTaken("a project of that name exists")
    return await queries.get_row(session, project.id)


async def get_project(session: AsyncSession, name: str) -> ProjectRow:
    """A project with its counts.

    Raises:
        UnknownProject: no project has that name.
    """
    return await queries.get_row(session, (await find_project(session, name)).id)


def list_strategies() -> StrategyList:
    """Every strategy: the default, then the usual ones."""
    default = ProjectChange.model_fields["strategy"].default
    default_first = sorted(STRATEGIES.values(), key=lambda each: each.name != default)
    return StrategyList(
        strategies=[
            StrategyView(
                name=each.name,
                description=each.description,
                learns=each.learns,
                is_default=each.name == default,
            )
            for each in default_first
        ]
    )


async def list_projects(
    session: AsyncSession, principal: Principal, *, after_id: int, limit: int
) -> list[ProjectRow]:
    """A page of the principal's projects with their counts, oldest first."""
    sees_all = principal.is_admin or principal.all_projects
    return await queries.list_projects(
        session, member=None if sees_all else principal.id, after_id=after_id, limit=limit
    )


async def expected_pair_seconds(session: AsyncSession, project: Project) -> float | None:
    """What a pair of the plan is expected to take, on average; None while there is no plan."""
    return await queries.expected_pair_seconds(session, project.id)


async def change_project(
    session: AsyncSession, project: Project, change: ProjectChange
) -> ProjectRow:
    """Change the fields that are set in ``change``; held assignments stay.

    ``project`` is locked, and its expired assignments have lapsed.

    Raises:
        BudgetBelowSpent, UnitInUse, TooFewLabelsPerPair: what is stored forbids it.
        InvalidInput: an unknown strategy, or a budget in money without an hourly rate.
    """
    columns = _columns(change, only_set=True)
    checked = ("strategy", "unit", "budget_limit", "cost_hourly_rate")
    _check({column: getattr(project, column) for column in checked} | columns)
    _check_budget(project, columns)
    for column, value in columns.items():
        setattr(project, column, value)
    await session.flush()
    if columns.keys() & {"labels_per_pair", "overlap_share", "overlap_labels"}:
        await _change_labels_wanted(session, project)
    await notify(session, Channel.PROMPTS_READY, str(project.id))
    await notify(session, Channel.PLAN_CHANGED, str(project.id))
    return await queries.get_row(session, project.id)


async def delete_project(session: AsyncSession, name: str, *, confirm: str | None) -> None:
    """Erase a project and all its data.

    Raises:
        UnknownProject: no project has that name.
        DefaultProject: it is ``default``.
        InvalidInput: ``confirm`` does not repeat the name.
    """
    project = await find_project(session, name)
    if project.name == DEFAULT_PROJECT:
        raise DefaultProject("the project `default` always exists")
    if confirm != name:
        error = FieldError(("query", "confirm"), "must repeat the project's name")
        raise InvalidInput(f"confirm: {error.msg}", errors=(error,))
    await lock_project(session, project.id)
    await queries.delete_project(session, project.id)


_COLUMNS_OF_NESTED = {
    "budget": {"unit": "unit", "limit": "budget_limit"},
    "overlap": {"share": "overlap_share", "labels": "overlap_labels"},
    "cost": {
        "seconds_base": "cost_seconds_base",
        "words_per_minute": "cost_words_per_minute",
        "hourly_rate": "cost_hourly_rate",
    },
}


def _columns(sent: NewProject | ProjectChange, *, only_set: bool = False) -> dict[str, Any]:
    """The columns that a request sets; all of them unless ``only_set``."""
    columns = sent.model_dump(exclude_unset=only_set, exclude={"preset"})
    for field, names in _COLUMNS_OF_NESTED.items():
        for name, value in columns.pop(field, {}).items():
            columns[names[name]] = value
    if columns.get("budget_limit") is not None:
        columns["budget_limit"] = Decimal(str(columns["budget_limit"]))
    if isinstance(sent, NewProject):
        columns["seed"] = secrets.randbits(63)
    return columns


def _check(columns: dict[str, Any]) -> None:
    if columns["strategy"] not in STRATEGIES:
        error = FieldError(("body", "strategy"), f"must be one of {', '.join(STRATEGIES)}")
    elif columns["unit"] == "money" and columns["cost_hourly_rate"] is None:
        error = FieldError(("body", "cost", "hourly_rate"), "a budget in money needs it")
    elif columns["unit"] == "labels" and (columns["budget_limit"] or 0) % 1:
        error = FieldError(("body", "budget", "limit"), "a limit in labels is a whole number")
    else:
        return
    raise InvalidInput(f"{error.loc[-1]}: {error.msg}", errors=(error,))


def _check_budget(project: Project, columns: dict[str, Any]) -> None:
    used = project.spent + project.reserved
    if columns.get("unit", project.unit) != project.unit and used:
        raise UnitInUse("the budget's unit cannot change once something is spent or reserved")
    limit = columns.get("budget_limit", project.budget_limit)
    if "budget_limit" in columns and limit is not None and limit < used:
        raise BudgetBelowSpent(f"{project.spent} is spent and {project.reserved} reserved already")


async def _change_labels_wanted(session: AsyncSession, project: Project) -> None:
    if await queries.has_pair_with_more_labels(session, project):
        raise TooFewLabelsPerPair("a pair already has, or is about to get, more labels than that")
    await queries.set_labels_wanted(session, project)
