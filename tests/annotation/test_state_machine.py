"""Hypothesis drives the services, in any order, against a model that was written independently.

``STATE_MACHINE_EXAMPLES=2000`` runs that many examples, and others each time.
"""

import os
from collections.abc import Collection
from decimal import Decimal
from typing import Any

from hypothesis import HealthCheck, settings
from hypothesis import strategies as st
from hypothesis.stateful import initialize, invariant, rule, run_state_machine_as_test
from sqlalchemy import func, select, text, update
from sqlalchemy.ext.asyncio import AsyncSession

from app.accounts import service as accounts
from app.accounts.schemas import AnnotatorChange
from app.annotation import service
from app.annotation.claim import Claim, ClaimRequest, claim_pairs
from app.annotation.imported_labels import take_imported_labels
from app.annotation.review.correction import correct_pair
from app.annotation.schemas import Correction, ImportedPreference, NewLabel
from app.annotation.settle import Settlement, settle_labels
from app.annotation.undo import withdraw_label
from app.projects.schemas import NewProject, ProjectChange
from app.prompts.service import erase_prompt
from app.storage.ids import IdKind, encode
from app.storage.tables import Assignment
from tests.annotation.ledger_model import ADMIN, LabelModel, PairModel
from tests.annotation.room_actions import ACTION, LIMIT, PAIR, SHARE, Action, Answer, PairToBe
from tests.annotation.room_under_test import RoomMachine

_MORE = os.environ.get("STATE_MACHINE_EXAMPLES")
_SETTINGS = settings(
    max_examples=int(_MORE or 30),
    stateful_step_count=50,
    derandomize=_MORE is None,
    database=None,
    deadline=None,
    suppress_health_check=list(HealthCheck),
)


def picked(numbers: Collection[int], pick: int) -> int:
    """One of the numbers, the same for the same pick."""
    return sorted(numbers)[pick % len(numbers)]


class AnnotationMachine(RoomMachine):
    """What people do to the room."""

    @initialize(
        unit=st.sampled_from(("labels", "labels", "minutes")),
        exploration=SHARE,
        limit=LIMIT,
        pairs=st.lists(PAIR, min_size=2, max_size=4),
    )
    def a_project(
        self, unit: str, exploration: float, limit: int | None, pairs: list[PairToBe]
    ) -> None:
        budget = {"unit": unit, "limit": limit}
        project = {"name": self.name, "budget": budget, "exploration": exploration}
        self.begin(NewProject.model_validate({**project, "lease_seconds": 600}), pairs)
        self.model.limit = None if limit is None else Decimal(limit)

    @rule(action=ACTION)
    def act(self, action: Action) -> None:
        name, arguments = action
        getattr(self, name)(**arguments)

    def claim(self, who: str, budget: int) -> None:
        request = ClaimRequest(self.principals[who], self.name, budget)
        stepped = self.step(
            lambda: self.model.claim(who, budget), lambda session: claim_pairs(session, request)
        )
        if stepped is None:
            return
        pairs, claim = stepped
        numbers = self.do(lambda session: self._assignments_of(session, who))
        for pair in pairs:
            self.model.hand_out(who, pair, numbers[pair])
        new = [numbers[pair] for pair in pairs if self.model.assignments[numbers[pair]].is_new]
        assert new == sorted(new)  # shown in the order of the plan
        self._compare_claim(who, budget, claim)

    async def _assignments_of(self, session: AsyncSession, who: str) -> dict[int, int]:
        rows = await session.execute(
            select(Assignment.pair_id, Assignment.id).where(
                Assignment.annotator_id == self.principals[who].id
            )
        )
        return dict(rows.all())

    def _compare_claim(self, who: str, budget: int, claim: Claim) -> None:
        held = list(self.model.held(who))[:budget]
        assert [each.assignment_id for each in claim.pairs] == [number for number, _ in held]
        for each, (_, known) in zip(claim.pairs, held, strict=True):
            if known.swapped is None:
                known.swapped = each.swapped
        status = "ok" if held else self.model.status_of_nothing(who)
        assert claim.status.value == status

    def label_one(self, pick: int, choice: str, seconds: int | None) -> None:
        self._label_of("held", pick=pick, choice=choice, seconds=seconds)

    def label_late(self, pick: int, choice: str, seconds: int | None) -> None:
        self._label_of("lapsed", "released", pick=pick, choice=choice, seconds=seconds)

    def _label_of(self, *statuses: str, pick: int, choice: str, seconds: int | None) -> None:
        if among := self.model.of_status(*statuses) or self.model.of_status("held"):
            number = picked(among, pick)
            self._label(self.model.assignments[number].annotator, [(number, choice, seconds)])

    def label_several(self, who: str, answers: list[Answer], among: str) -> None:
        numbers = self.model.of_annotator(who) if among == "own" else self.model.assignments
        if numbers:
            self._label(
                who, [(picked(numbers, pick), choice, seconds) for pick, choice, seconds in answers]
            )

    def _label(self, who: str, answers: list[Answer]) -> None:
        sent = [
            NewLabel.model_validate(
                {
                    "assignment_id": encode(IdKind.ASSIGNMENT, number),
                    "choice": choice,
                    "seconds": seconds,
                }
            )
            for number, choice, seconds in answers
        ]
        stepped = self.step(
            lambda: self.model.settle(who, answers),
            lambda session: settle_labels(session, self.principals[who], sent),
        )
        if stepped is not None:
            self._number_labels(*stepped)

    def _number_labels(self, expected: list[int | LabelModel], given: Settlement) -> None:
        labels = self.model.labels
        self.model.labels = {number: each for number, each in labels.items() if number > 0}
        new: dict[int, LabelModel] = {}
        for each, stored in zip(expected, given.labels, strict=True):
            if isinstance(each, LabelModel):
                assert new.setdefault(stored.id, each) is each
            else:
                assert stored.id == each
        assert not new.keys() & self.model.labels.keys()
        self.model.labels |= new
        assert given.created == len(new)

    def undo(self, by: str, pick: int) -> None:
        if not self.model.labels:
            return
        number = picked(self.model.labels, pick)
        who = self.model.labels[number].annotator if by == "its own" else by
        self.step(
            lambda: self.model.undo(who, number),
            lambda session: withdraw_label(session, self.principals[who], number),
        )

    def correct(
        self, pick: int, withdraw: list[int], among: str, answer: str, seconds: int | None
    ) -> None:
        pair = picked(self.model.pairs, pick)
        labels = {
            number
            for number, label in self.model.labels.items()
            if among == "all" or label.pair == pair
        }
        numbers = [picked(labels, each) for each in withdraw if labels]
        first, second = self.model.pairs[pair].responses
        preferred = {"left": first, "right": second}.get(answer)
        said = {"choice": answer}
        if preferred is not None:
            said = {"preferred_response_id": encode(IdKind.RESPONSE, preferred)}
        sent = Correction.model_validate(
            {
                "withdraw": [encode(IdKind.LABEL, number) for number in numbers],
                "seconds": seconds,
                **said,
            }
        )
        stepped = self.step(
            lambda: self.model.correct(pair, numbers, answer, seconds),
            lambda session: correct_pair(session, self.principals[ADMIN], pair, sent),
        )
        if stepped is None:
            return
        label, given = stepped
        own = self.do(lambda session: self._assignments_of(session, ADMIN))
        if 0 in self.model.assignments:
            self.model.assignments[own[pair]] = self.model.assignments.pop(0)
        if isinstance(label, LabelModel):
            (stored,) = given.labels
            kept = {number: each for number, each in self.model.labels.items() if number > 0}
            self.model.labels = kept | {stored.id: label}
            label.assignment = None if label.assignment is None else own[pair]
        else:
            assert [each.id for each in given.labels] == [label]

    def give_back(self, by: str, pick: int) -> None:
        if not self.model.assignments:
            return
        number = picked(self.model.assignments, pick)
        who = self.model.assignments[number].annotator if by == "its own" else by
        self.step(
            lambda: self.model.give_back(who, number),
            lambda session: service.give_back(session, self.principals[who], number),
        )

    def let_time_pass(self, picks: list[int]) -> None:
        held = self.model.of_status("held")
        over = {picked(held, pick) for pick in picks if held}
        for number in over:
            self.model.assignments[number].is_over = True
        an_hour = text("interval '1 hour'")
        self.do(
            lambda session: session.execute(
                update(Assignment)
                .where(Assignment.id.in_(over))
                .values(expires_at=func.clock_timestamp() - an_hour)
            )
        )

    def change_limit(self, limit: int | None) -> None:
        change = ProjectChange.model_validate({"budget": {"limit": limit}})
        self.step(
            lambda: self.model.change_limit(limit),
            lambda session: service.change_project(session, self.name, change),
        )

    def change_labels_per_pair(self, labels: int, overlap: dict[str, Any]) -> None:
        change = ProjectChange.model_validate({"labels_per_pair": labels, "overlap": overlap})
        self.step(
            lambda: self.model.change_labels_per_pair(labels, overlap["share"], overlap["labels"]),
            lambda session: service.change_project(session, self.name, change),
        )

    def deactivate(self, who: str) -> None:
        if not self.model.inactive:  # somebody has to do the work
            self.step(
                lambda: self.model.deactivate(who),
                lambda session: accounts.change_annotator(
                    session, self.full_name(who), AnnotatorChange(active=False)
                ),
            )

    def plan_a_pair(self, pair: PairToBe) -> None:
        if len(self.responses) < 4:
            self.add_pair(*pair)

    def erase_a_prompt(self, pick: int) -> None:
        if len(self.responses) < 3:
            return
        prompt = picked(self.responses, pick)
        del self.responses[prompt]
        self.step(
            lambda: self.model.erase(prompt),
            lambda session: erase_prompt(session, encode(IdKind.PROMPT, prompt)),
        )

    def import_label(self, who: str, pick: int, places: list[int]) -> None:
        prompt = picked(self.responses, pick)
        preferred, rejected = (self.responses[prompt][place] for place in places[:2])
        sent = ImportedPreference(
            prompt_id=encode(IdKind.PROMPT, prompt),
            annotator=self.full_name(who),
            preferred=encode(IdKind.RESPONSE, preferred),
            rejected=encode(IdKind.RESPONSE, rejected),
        )
        pair = self.model.find_pair(preferred, rejected)
        stepped = self.step(
            lambda: self.model.import_label(who, pair, preferred, rejected),
            lambda session: take_imported_labels(session, self.name, [sent]),
        )
        if stepped is None:
            return
        label, given = stepped
        (stored,) = given.labels
        if isinstance(label, LabelModel):
            label.pair = stored.pair_id
            self.model.labels[stored.id] = label
            if pair is None:
                both = (min(preferred, rejected), max(preferred, rejected))
                self.model.pairs[stored.pair_id] = PairModel(
                    prompt, both, "imported", 0, 0, 1.0, 0, handed_out=True
                )
        else:
            assert stored.id == label

    @invariant()
    def the_database_is_as_the_model(self) -> None:
        if self.project_id:
            self.compare()
            limit = self.model.limit
            if limit is not None and self.model.unit == "labels":
                assert self.model.spent + self.model.reserved <= limit
            for number, pair in self.model.pairs.items():
                count = self.model.count(number)
                if pair.arm != "imported":
                    assert count["held"] + count["counted"] <= pair.wanted


def test_whatever_is_done_in_whatever_order_the_ledger_and_the_queue_hold(
    database_url: str,
) -> None:
    machine = type("Machine", (AnnotationMachine,), {"database_url": database_url})
    run_state_machine_as_test(machine, settings=_SETTINGS)
