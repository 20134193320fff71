"""Simulated annotators: some are thorough, some slow, some absent-minded, some leave for good."""

import asyncio
import random
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import Any

import httpx

ENDED = ("complete", "exhausted")
_CHOICES = ("left", "left", "right", "right", "tie", "both_bad")


@dataclass
class Told:
    """A label that the service answered with 201: what it must find again for ever."""

    label_id: str
    assignment_id: str
    choice: str
    preferred: str | None
    rejected: str | None
    status: str
    undone: bool = False
    perhaps_undone: bool = False
    """An undo was sent, and no answer came back."""


class Unexpected(AssertionError):
    """An answer that must never come."""


@dataclass
class Desk:
    """The way to the service: any of its API processes, and patience where the test kills them."""

    clients: Sequence[httpx.AsyncClient]
    patient: bool = False

    async def send(
        self, rng: random.Random, key: str, method: str, path: str, **request: Any
    ) -> httpx.Response:
        """Send until there is an answer; 5xx is none, and a failure unless we are patient."""
        while True:
            try:
                answer = await rng.choice(self.clients).request(
                    method, path, headers={"Authorization": f"Bearer {key}"}, **request
                )
            except httpx.TransportError:
                if not self.patient:
                    raise
                await asyncio.sleep(0.1)
                continue
            if answer.status_code == 429 or (self.patient and answer.status_code == 503):
                await asyncio.sleep(0.1)
                continue
            if answer.status_code >= 500:
                raise Unexpected(f"{method} {path}: {answer.status_code} {answer.text}")
            return answer


@dataclass
class Annotator:
    """One person with one key. ``tabs`` of them work at once; with one tab every answer is known.

    ``leaves_after``: so many pairs are looked at, then the person is gone, holding whatever it is.
    """

    name: str
    key: str
    desk: Desk
    rng: random.Random
    tabs: int = 1
    leaves_after: int | None = None
    told: list[Told] = field(default_factory=list)
    ended: dict[str, str] = field(default_factory=dict)
    """How the work ended for this annotator, by project."""
    _shown: dict[str, tuple[str, str]] = field(default_factory=dict)
    _live: dict[str, Told] = field(default_factory=dict)
    _created: set[str] = field(default_factory=set)
    _left: list[str] = field(default_factory=list)
    """Assignments walked away from; some are answered late."""

    async def work(self, project: str) -> None:
        """Work until nothing is left for this annotator, in all tabs."""
        async with asyncio.TaskGroup() as tabs:
            for _ in range(self.tabs):
                tabs.create_task(self._work_in_a_tab(project))

    @property
    def _is_gone(self) -> bool:
        return self.leaves_after is not None and self.leaves_after <= 0

    async def _work_in_a_tab(self, project: str) -> None:
        while not self._is_gone:
            if self._left and self.rng.random() < 0.3:
                late = self._left.pop(self.rng.randrange(len(self._left)))
                await self._answer(late)
            body = await self._claim(project)
            for pair in body["pairs"]:
                if self.leaves_after is not None:
                    self.leaves_after -= 1
                    if self._is_gone:
                        return
                await self._treat(pair["assignment_id"])
            if body["status"] in ENDED:
                self.ended[project] = body["status"]
                return

    async def _claim(self, project: str) -> dict[str, Any]:
        budget = self.rng.choice((1, 1, 1, 2, 5))
        query = {"project": project, "budget": budget, "wait": self.rng.choice((0.5, 1, 2))}
        times = 5 if self.rng.random() < 0.05 else 1
        answers = await asyncio.gather(
            *(self._send("GET", "/next-pairs", params=query) for _ in range(times))
        )
        for answer in answers:
            if answer.status_code != 200:
                raise Unexpected(f"GET /next-pairs: {answer.status_code} {answer.text}")
            self._look(answer.json(), budget)
        body: dict[str, Any] = answers[-1].json()
        return body

    def _look(self, body: dict[str, Any], budget: int) -> None:
        assert len(body["pairs"]) <= budget
        assert (body["status"] == "ok") == bool(body["pairs"])
        assert body["ledger"]["remaining"] is None or body["ledger"]["remaining"] >= 0
        for pair in body["pairs"]:
            sides = (pair["left"]["response_id"], pair["right"]["response_id"])
            # An assignment that comes back shows the same sides.
            assert self._shown.setdefault(pair["assignment_id"], sides) == sides

    async def _treat(self, assignment_id: str) -> None:
        ways: dict[Callable[[str], Any], int] = {
            self._answer: 60,
            self._walk_away: 8,
            self._skip: 7,
            self._give_back: 5,
            self._answer_twice: 6,
            self._answer_five_times_at_once: 4,
            self._answer_otherwise_afterwards: 5,
        }
        if self.leaves_after is None:
            ways[self._answer_and_undo] = 5
        (way,) = self.rng.choices(list(ways), list(ways.values()))
        await way(assignment_id)

    async def _walk_away(self, assignment_id: str) -> None:
        self._left.append(assignment_id)

    async def _skip(self, assignment_id: str) -> None:
        await self._post(assignment_id, "skip")

    async def _answer(self, assignment_id: str) -> None:
        await self._post(assignment_id, self.rng.choice(_CHOICES))

    async def _answer_twice(self, assignment_id: str) -> None:
        choice = self.rng.choice(_CHOICES)
        await self._post(assignment_id, choice)
        await self._post(assignment_id, choice)

    async def _answer_five_times_at_once(self, assignment_id: str) -> None:
        choice = self.rng.choice(_CHOICES)
        answers = await asyncio.gather(*(self._send_label(assignment_id, choice) for _ in range(5)))
        for answer in sorted(answers, key=lambda answer: answer.status_code != 201):
            self._note(answer, assignment_id, choice)

    async def _answer_otherwise_afterwards(self, assignment_id: str) -> None:
        await self._post(assignment_id, "left")
        answer = await self._post(assignment_id, "right")
        if self.tabs == 1 and answer.status_code != 409:
            raise Unexpected(f"a different answer got {answer.status_code}, not 409")

    async def _answer_and_undo(self, assignment_id: str) -> None:
        await self._answer(assignment_id)
        told = self._live.get(assignment_id)
        if told is None:
            return
        told.perhaps_undone = True
        answer = await self._send("DELETE", f"/labels/{told.label_id}")
        if answer.status_code != 204:
            raise Unexpected(f"undo: {answer.status_code} {answer.text}")
        told.undone = True
        if self._live.get(assignment_id) is told:
            del self._live[assignment_id]

    async def _give_back(self, assignment_id: str) -> None:
        answer = await self._send("DELETE", f"/assignments/{assignment_id}")
        is_known_answered = assignment_id in self._live
        allowed = {204, 409} if self.tabs > 1 else {409} if is_known_answered else {204}
        if answer.status_code not in allowed:
            raise Unexpected(f"give back: {answer.status_code} {answer.text}")

    async def _post(self, assignment_id: str, choice: str) -> httpx.Response:
        answer = await self._send_label(assignment_id, choice)
        self._note(answer, assignment_id, choice)
        return answer

    async def _send_label(self, assignment_id: str, choice: str) -> httpx.Response:
        label = {"assignment_id": assignment_id, "choice": choice, "seconds": 3}
        return await self._send("POST", "/labels", json=label)

    async def _send(self, method: str, path: str, **request: Any) -> httpx.Response:
        return await self.desk.send(self.rng, self.key, method, path, **request)

    def _note(self, answer: httpx.Response, assignment_id: str, choice: str) -> None:
        live = self._live.get(assignment_id)
        expected = {201} if live is None else {200} if live.choice == choice else {409}
        if self.desk.patient:
            expected |= {200} if 201 in expected else set()  # the first try may have been taken
        if self.tabs > 1:
            expected = {200, 201, 409}
        if answer.status_code not in expected:
            raise Unexpected(
                f"label {choice} after {live}: {answer.status_code} instead of {expected}:"
                f" {answer.text}"
            )
        if answer.status_code == 409:
            return
        (stored,) = answer.json()["labels"]
        told = self._told(stored, assignment_id, choice)
        if answer.status_code == 201:
            if told.label_id in self._created:
                raise Unexpected(f"the label {told.label_id} was made twice")
            self._created.add(told.label_id)
        if live is None:
            if all(each.label_id != told.label_id for each in self.told):
                self.told.append(told)
                self._live[assignment_id] = told
        elif self.tabs == 1 and live.label_id != told.label_id:
            raise Unexpected(f"the same label again gave {told.label_id}, not {live.label_id}")

    def _told(self, stored: dict[str, Any], assignment_id: str, choice: str) -> Told:
        left, right = self._shown[assignment_id]
        preferred, rejected = {"left": (left, right), "right": (right, left)}.get(
            choice, (None, None)
        )
        given = (stored["preferred_response_id"], stored["rejected_response_id"])
        if (stored["choice"], *given) != (choice, preferred, rejected):
            raise Unexpected(f"shown {left} | {right}, chose {choice}, stored {stored}")
        return Told(stored["id"], assignment_id, choice, preferred, rejected, stored["status"])
