"""The real annotation room and its model, side by side: set up, stepped and compared."""

import asyncio
import copy
import itertools
from collections.abc import Awaitable, Callable, Iterable
from typing import Any, TypeVar

import pytest
from hypothesis.stateful import RuleBasedStateMachine
from sqlalchemy import func, select, update
from sqlalchemy.ext.asyncio import AsyncSession

from app.accounts.service import Principal
from app.projects import service as projects
from app.projects.schemas import NewProject
from app.storage.engine import create_engine, session_factory
from app.storage.tables import (
    Annotator,
    Assignment,
    Label,
    LedgerEntry,
    Pair,
    Project,
    ProjectIntake,
    Prompt,
    Response,
)
from tests.annotation.ledger_model import ADMIN, ModelOfRoom, PairModel, Refused
from tests.annotation.room_actions import PEOPLE, PairToBe

_Modelled = TypeVar("_Modelled")
_Real = TypeVar("_Real")
_NUMBERS = itertools.count()


class RoomMachine(RuleBasedStateMachine):
    """A project of its own, some annotators, and the model of both; rules come with a subclass."""

    database_url: str

    def __init__(self) -> None:
        super().__init__()
        self.runner = asyncio.Runner()
        self.engine = create_engine(self.database_url, pool_size=1)
        self.sessions = session_factory(self.engine)
        self.model = ModelOfRoom("labels", None, 0.0, 0)
        self.principals: dict[str, Principal] = {}
        self.responses: dict[int, list[int]] = {}
        """The responses of every prompt that has not been erased."""
        self.project_id = 0
        self.number = next(_NUMBERS)
        self.positions = itertools.count()

    def teardown(self) -> None:
        self.runner.run(self.engine.dispose())
        self.runner.close()

    @property
    def name(self) -> str:
        """The project's."""
        return f"machine-{self.number}"

    def do(self, work: Callable[[AsyncSession], Awaitable[_Real]]) -> _Real:
        """One unit of work, as a request is one."""

        async def in_a_transaction() -> _Real:
            async with self.sessions.begin() as session:
                return await work(session)

        return self.runner.run(in_a_transaction())

    def step(
        self, modelled: Callable[[], _Modelled], real: Callable[[AsyncSession], Awaitable[_Real]]
    ) -> tuple[_Modelled, _Real] | None:
        """Do both; None where both refuse, for the same reason and without a trace."""
        before = copy.deepcopy(self.model)
        try:
            expected = modelled()
        except Refused as refusal:
            self.model = before
            with pytest.raises(refusal.kind):
                self.do(real)
            return None
        return expected, self.do(real)

    def begin(self, project: NewProject, pairs: Iterable[PairToBe]) -> None:
        """Make the project, the people and the first pairs: arm, expected seconds, draw."""
        self.model = ModelOfRoom(
            project.budget.unit,
            None,
            project.exploration,
            project.lease_seconds,
        )

        async def make(session: AsyncSession) -> None:
            row = await projects.create_project(session, project)
            self.project_id = row.project.id
            for name in (*PEOPLE, ADMIN):
                await self._hire(session, name)

        self.do(make)
        for arm, seconds, draw in pairs:
            self.add_pair(arm, seconds, draw)

    async def _hire(self, session: AsyncSession, name: str) -> None:
        role = "admin" if name == ADMIN else "annotator"
        full_name = f"{name}-{self.number}"
        annotator = Annotator(name=full_name, role=role, key_hash=full_name.encode())
        session.add(annotator)
        await session.flush()
        self.principals[name] = Principal(annotator.id, full_name, role, all_projects=True)

    def full_name(self, name: str) -> str:
        """As it stands in the database."""
        return f"{name}-{self.number}"

    def add_pair(self, arm: str, seconds: int, draw: float) -> None:
        """A prompt with three responses, of which two are a pair of the plan."""
        wanted = self.model.wanted(draw)
        position = float(next(self.positions))

        async def insert(session: AsyncSession) -> tuple[int, list[int], int]:
            prompt = Prompt(
                project_id=self.project_id,
                external_id=f"{position}",
                content="?",
                fingerprint=b"?",
                status="ready",
                pairs_planned=3,
                pairs_total=3,
                group_id=1,
            )
            session.add(prompt)
            await session.flush()
            responses = [Response(prompt_id=prompt.id, position=n, text=f"{n}") for n in range(3)]
            session.add_all(responses)
            await session.flush()
            pair = Pair(
                project_id=self.project_id,
                prompt_id=prompt.id,
                first_response_id=responses[0].id,
                second_response_id=responses[1].id,
                arm=arm,
                strategy="random",
                position=position,
                expected_seconds=float(seconds),
                labels_wanted=wanted,
                overlap_draw=draw,
            )
            session.add(pair)
            await session.execute(
                update(ProjectIntake)
                .where(ProjectIntake.project_id == self.project_id)
                .values(prompts=ProjectIntake.prompts + 1)
            )
            await session.flush()
            return prompt.id, [response.id for response in responses], pair.id

        prompt_id, response_ids, pair_id = self.do(insert)
        self.responses[prompt_id] = response_ids
        first, second, _ = response_ids
        self.model.pairs[pair_id] = PairModel(
            prompt_id, (first, second), arm, position, seconds, draw, wanted
        )

    def compare(self) -> None:
        """Everything that the model knows is so in the database, and there is nothing else."""
        project, entries, rows = self.do(self._read)
        model = self.model
        assert (project.spent, project.reserved) == entries == (model.spent, model.reserved)
        labels = [label.status for label in model.labels.values()]
        counts = (labels.count("counted"), labels.count("surplus"))
        assert (project.counted_labels, project.surplus_labels) == counts
        dealt = (project.strategy_assigned, project.exploration_assigned)
        assert dealt == (model.dealt["strategy"], model.dealt["exploration"])
        assert {pair.id for pair in rows[Pair]} == model.pairs.keys()
        for pair in rows[Pair]:
            count = model.count(pair.id)
            assert {name: getattr(pair, name) for name in count} == count
            assert pair.labels_wanted == model.pairs[pair.id].wanted
            assert pair.open == model.has_room(pair.id)
        assert {each.id for each in rows[Assignment]} == model.assignments.keys()
        for assignment in rows[Assignment]:
            known = model.assignments[assignment.id]
            assert (assignment.status, assignment.swapped) == (known.status, known.swapped)
            if known.status == "held":
                assert assignment.reserved == known.reserved
        assert {label.id for label in rows[Label]} == model.labels.keys()
        for label in rows[Label]:
            expected = model.labels[label.id]
            assert (
                label.pair_id,
                label.annotator,
                label.assignment_id,
                label.preferred_response_id,
                label.rejected_response_id,
                label.status,
            ) == (
                expected.pair,
                self.full_name(expected.annotator),
                expected.assignment,
                expected.preferred,
                expected.rejected,
                expected.status,
            )
            assert label.disputed == model.is_disputed(label.id)
            if expected.status != "withdrawn":
                assert label.cost == expected.cost

    async def _read(self, session: AsyncSession) -> tuple[Project, tuple[Any, Any], dict[Any, Any]]:
        project = (
            await session.scalars(select(Project).where(Project.id == self.project_id))
        ).one()
        entries = await session.execute(
            select(
                func.coalesce(func.sum(LedgerEntry.spent), 0),
                func.coalesce(func.sum(LedgerEntry.reserved), 0),
            ).where(LedgerEntry.project_id == self.project_id)
        )
        spent, reserved = entries.one()
        rows: dict[Any, Any] = {}
        for table in (Pair, Assignment, Label):
            found = await session.scalars(select(table).where(table.project_id == self.project_id))
            rows[table] = found.all()
        return project, (spent, reserved), rows
