"""What the annotation room should do, written down a second time, in plain Python.

Nothing is counted here that can be looked up: what is held, counted or reserved is asked of the
assignments and labels themselves.
"""

from collections.abc import Collection, Iterator, Sequence
from dataclasses import dataclass, field
from decimal import Decimal

from app.errors import (
    AppError,
    AssignmentAnswered,
    BudgetBelowSpent,
    LabelDiffers,
    PairFull,
    TooFewLabelsPerPair,
    Unauthenticated,
    UnknownAssignment,
    UnknownLabel,
)

ADMIN = "admin"
SKIPS_UNTIL_RETIRED = 3
_MICRO = Decimal("0.000001")


class Refused(Exception):
    """The service must refuse this with an error of that kind, and change nothing."""

    def __init__(self, kind: type[AppError]) -> None:
        super().__init__(kind)
        self.kind = kind


@dataclass
class PairModel:
    prompt: int
    responses: tuple[int, int]
    arm: str
    position: float
    seconds: int
    draw: float
    wanted: int
    handed_out: bool = False


@dataclass
class AssignmentModel:
    pair: int
    annotator: str
    status: str
    reserved: Decimal
    lease: int
    is_over: bool = False
    swapped: bool | None = None
    """Not known before it has been shown."""

    @property
    def is_new(self) -> bool:
        return self.swapped is None


@dataclass
class LabelModel:
    pair: int
    annotator: str
    choice: str
    preferred: int | None
    rejected: int | None
    seconds: int | None
    status: str
    cost: Decimal
    assignment: int | None


@dataclass
class ModelOfRoom:
    """A project with its pairs, assignments and labels, each by its number in the database."""

    unit: str
    limit: Decimal | None
    exploration: float
    lease: int
    labels_per_pair: int = 1
    overlap_share: float = 0.0
    overlap_labels: int = 2
    dealt: dict[str, int] = field(default_factory=lambda: {"strategy": 0, "exploration": 0})
    inactive: set[str] = field(default_factory=set)
    spent_on_erased: Decimal = Decimal(0)
    pairs: dict[int, PairModel] = field(default_factory=dict)
    assignments: dict[int, AssignmentModel] = field(default_factory=dict)
    labels: dict[int, LabelModel] = field(default_factory=dict)

    # What can be looked up

    @property
    def spent(self) -> Decimal:
        live = (label.cost for label in self.labels.values() if label.status != "withdrawn")
        return self.spent_on_erased + sum(live)

    @property
    def reserved(self) -> Decimal:
        return sum((each.reserved for _, each in self.held()), Decimal(0))

    def held(self, annotator: str | None = None) -> Iterator[tuple[int, AssignmentModel]]:
        """What is held, in the order of the numbers."""
        for number, assignment in sorted(self.assignments.items()):
            if assignment.status == "held" and annotator in (None, assignment.annotator):
                yield number, assignment

    def of_status(self, *statuses: str) -> list[int]:
        """The assignments that are held, say."""
        return [number for number, each in self.assignments.items() if each.status in statuses]

    def of_annotator(self, annotator: str) -> list[int]:
        return [n for n, each in self.assignments.items() if each.annotator == annotator]

    def count(self, pair: int) -> dict[str, int]:
        """A pair's columns of the same names."""
        labels = [label for label in self.labels.values() if label.pair == pair]
        counted = [label for label in labels if label.status == "counted"]
        return {
            "held": sum(each.pair == pair for _, each in self.held()),
            "counted": sum(label.assignment is not None for label in counted),
            "imported": sum(label.assignment is None for label in counted),
            "skips": sum(label.status == "skipped" for label in labels),
        }

    def has_room(self, pair: int) -> bool:
        count = self.count(pair)
        taken = count["held"] + count["counted"] + count["imported"]
        return taken < self.pairs[pair].wanted and count["skips"] < SKIPS_UNTIL_RETIRED

    def live_label(self, pair: int, annotator: str) -> int | None:
        for number, label in self.labels.items():
            if (label.pair, label.annotator) == (pair, annotator) and label.status != "withdrawn":
                return number
        return None

    def is_taken_by(self, pair: int, annotator: str) -> bool:
        own = any(
            each.pair == pair and each.annotator == annotator
            for each in self.assignments.values()
            if each.status in ("held", "answered")
        )
        return own or self.live_label(pair, annotator) is not None

    def cost(self, seconds: int) -> Decimal:
        if self.unit == "labels":
            return Decimal(1)
        return (Decimal(seconds) / 60).quantize(_MICRO)

    def fits(self, cost: Decimal) -> bool:
        return self.limit is None or self.spent + self.reserved + cost <= self.limit

    def _measured(self, pair: int, seconds: int | None, lease: int) -> Decimal:
        return self.cost(min(self.pairs[pair].seconds if seconds is None else seconds, lease))

    # What happens

    def lapse(self, except_ids: Collection[int] = ()) -> None:
        over = [(n, each) for n, each in self.held() if each.is_over and n not in except_ids]
        for _, assignment in over:
            assignment.status = "lapsed"
        for _, assignment in over:
            self.promote(assignment.pair)

    def promote(self, pair: int) -> None:
        """A pair that gets room again takes its oldest surplus label."""
        surplus = [
            number
            for number, label in self.labels.items()
            if label.pair == pair and label.status == "surplus"
        ]
        if not surplus or not self.has_room(pair):
            return
        label = self.labels[min(surplus)]
        cost = self._measured(pair, label.seconds, self.lease)
        if self.fits(cost):
            label.status, label.cost = "counted", cost

    def claim(self, annotator: str, budget: int) -> list[int]:
        """Gives the pairs that are newly handed out, in that order; ``hand_out`` comes next."""
        if annotator in self.inactive:
            raise Refused(Unauthenticated)
        self.lapse()
        picked: list[int] = []
        dealt = dict(self.dealt)
        for _ in range(budget - len(list(self.held(annotator)))):
            pair = self._next_pair(annotator, picked, dealt)
            if pair is None:
                break
            picked.append(pair)
            dealt[self.pairs[pair].arm] += 1
        return picked

    def _next_pair(
        self, annotator: str, picked: Sequence[int], dealt: dict[str, int]
    ) -> int | None:
        promised = sum((self.cost(self.pairs[pair].seconds) for pair in picked), Decimal(0))
        explored = dealt["exploration"]
        is_due = explored + 1 <= self.exploration * (explored + dealt["strategy"] + 1)
        for arm in ("exploration", "strategy") if is_due else ("strategy", "exploration"):
            plan = sorted((each.position, n) for n, each in self.pairs.items() if each.arm == arm)
            for _, pair in plan:
                if (
                    pair not in picked
                    and self.has_room(pair)
                    and not self.is_taken_by(pair, annotator)
                    and self.fits(promised + self.cost(self.pairs[pair].seconds))
                ):
                    return pair
        return None

    def hand_out(self, annotator: str, pair: int, number: int) -> None:
        self.dealt[self.pairs[pair].arm] += 1
        self.pairs[pair].handed_out = True
        cost = self.cost(self.pairs[pair].seconds)
        known = self.assignments.get(number)
        if known is None:
            known = AssignmentModel(pair, annotator, "held", cost, self.lease)
            self.assignments[number] = known
        assert (known.pair, known.annotator) == (pair, annotator)
        known.status, known.reserved, known.is_over = "held", cost, False

    def status_of_nothing(self, annotator: str) -> str:
        """What somebody is told who holds nothing after a claim."""
        open_pairs = [
            pair
            for pair, each in self.pairs.items()
            if each.arm != "imported"
            and self.has_room(pair)
            and not self.is_taken_by(pair, annotator)
        ]
        is_spent = self.limit is not None and (
            self.limit - self.spent - self.reserved < (1 if self.unit == "labels" else _MICRO)
        )
        if is_spent or open_pairs:
            return "waiting" if self.reserved else "exhausted"
        others = (each for _, each in self.held() if not self.is_taken_by(each.pair, annotator))
        return "waiting" if any(others) else "complete"

    def settle(
        self, annotator: str, answers: Sequence[tuple[int, str, int | None]]
    ) -> list[int | LabelModel]:
        """Gives for each answer the label: the number of one that stands, or a new one."""
        for number, _, _ in answers:
            known = self.assignments.get(number)
            if known is None or known.annotator != annotator:
                raise Refused(UnknownAssignment)
        numbers = [number for number, _, _ in answers]
        if any(self.assignments[number].status != "held" for number in numbers):
            self.lapse(except_ids=numbers)
        result: list[int | LabelModel] = []
        skipped: list[int] = []
        for number, choice, seconds in answers:
            assignment = self.assignments[number]
            new = self._new_label(number, choice, seconds)
            live = self.live_label(assignment.pair, annotator)
            if live is None:
                assignment.status = "answered"
                # Its own number comes from the database; until then it has one below all.
                self.labels[-1 - len(result)] = new
                result.append(new)
                skipped += [assignment.pair] if choice == "skip" else []
            elif self._agree(self.labels[live], new):
                if self.labels[live].assignment is None and assignment.status == "held":
                    assignment.status = "released"
                    self.promote(assignment.pair)
                result.append(self.labels[live] if live < 0 else live)
            else:
                raise Refused(LabelDiffers)
        for pair in skipped:
            self.promote(pair)
        return result

    def _agree(self, live: LabelModel, new: LabelModel) -> bool:
        same_kind = live.choice == new.choice or new.preferred is not None
        same = same_kind and (live.preferred, live.rejected) == (new.preferred, new.rejected)
        return same and (live.assignment is None or live.choice == new.choice)

    def _new_label(self, number: int, choice: str, seconds: int | None) -> LabelModel:
        assignment = self.assignments[number]
        pair = assignment.pair
        left, right = self.pairs[pair].responses
        if assignment.swapped:
            left, right = right, left
        preferred, rejected = {"left": (left, right), "right": (right, left)}.get(
            choice, (None, None)
        )
        was_held = assignment.status == "held"
        cost = self._measured(pair, seconds, assignment.lease)
        if choice == "skip":
            status = "skipped"
            cost = cost if was_held and self.unit != "labels" else Decimal(0)
        elif was_held or (self.has_room(pair) and self.fits(cost)):
            status = "counted"
        else:
            status, cost = "surplus", Decimal(0)
        return LabelModel(
            pair, assignment.annotator, choice, preferred, rejected, seconds, status, cost, number
        )

    def undo(self, who: str, number: int) -> None:
        label = self.labels[number]
        if who not in (ADMIN, label.annotator):
            raise Refused(UnknownLabel)
        self.lapse()
        if label.status == "withdrawn":
            return
        self._withdraw(who, label)
        self.promote(label.pair)

    def _withdraw(self, who: str, label: LabelModel) -> None:
        label.status = "withdrawn"
        if label.assignment is not None:
            assignment = self.assignments[label.assignment]
            cost = self.cost(self.pairs[label.pair].seconds)
            if who == label.annotator and self.has_room(label.pair) and self.fits(cost):
                assignment.status, assignment.reserved = "held", cost
                assignment.is_over, assignment.lease = False, self.lease
            else:
                assignment.status = "released"

    def correct(
        self, pair: int, withdraw: Sequence[int], answer: str, seconds: int | None
    ) -> int | LabelModel:
        """The admin's label: the number of one that stands, or a new one.

        ``answer`` is a choice as if the first response had been on the left. A new assignment has
        the number 0 until the database gives it one.
        """
        self.lapse()
        for number in withdraw:
            label = self.labels[number]
            if label.pair != pair:
                raise Refused(UnknownLabel)
            if label.status != "withdrawn":
                self._withdraw(ADMIN, label)
        if self.pairs[pair].arm == "imported":
            return self._correct_imported(pair, answer, seconds)
        known = [n for n in self.of_annotator(ADMIN) if self.assignments[n].pair == pair]
        number = known[0] if known else 0
        if not known:
            self.assignments[0] = AssignmentModel(
                pair, ADMIN, "released", Decimal(0), self.lease, swapped=False
            )
        is_swapped = self.assignments[number].swapped
        mirrored = {"left": "right", "right": "left"}
        choice = mirrored.get(answer, answer) if is_swapped else answer
        (given,) = self.settle(ADMIN, [(number, choice, seconds)])
        if isinstance(given, LabelModel) and given.status != "counted":
            raise Refused(PairFull)
        self.promote(pair)
        return given

    def _correct_imported(self, pair: int, answer: str, seconds: int | None) -> int | LabelModel:
        first, second = self.pairs[pair].responses
        preferred, rejected = {"left": (first, second), "right": (second, first)}.get(
            answer, (None, None)
        )
        live = self.live_label(pair, ADMIN)
        if live is None:
            return LabelModel(
                pair, ADMIN, answer, preferred, rejected, seconds, "counted", Decimal(0), None
            )
        if (self.labels[live].preferred, self.labels[live].choice) != (preferred, answer):
            raise Refused(LabelDiffers)
        return live

    def is_disputed(self, number: int) -> bool:
        """Whether another label of the pair that stands says otherwise."""
        said = {
            label.preferred or label.choice
            for label in self.labels.values()
            if label.pair == self.labels[number].pair
            and label.status not in ("withdrawn", "skipped")
        }
        return self.labels[number].status not in ("withdrawn", "skipped") and len(said) > 1

    def give_back(self, who: str, number: int) -> None:
        assignment = self.assignments[number]
        if who not in (ADMIN, assignment.annotator):
            raise Refused(UnknownAssignment)
        if assignment.status == "answered":
            raise Refused(AssignmentAnswered)
        if assignment.status == "held":
            assignment.status = "released"
            self.promote(assignment.pair)

    def deactivate(self, annotator: str) -> None:
        self.inactive.add(annotator)
        for _, assignment in self.held(annotator):
            assignment.is_over = True

    def change_limit(self, limit: int | None) -> None:
        self.lapse()
        if limit is not None and limit < self.spent + self.reserved:
            raise Refused(BudgetBelowSpent)
        self.limit = None if limit is None else Decimal(limit)

    def change_labels_per_pair(self, labels: int, overlap_share: float, overlap: int) -> None:
        self.lapse()
        self.labels_per_pair = labels
        self.overlap_share, self.overlap_labels = overlap_share, overlap
        for number, pair in self.pairs.items():
            if pair.arm == "imported":
                continue
            pair.wanted = self.wanted(pair.draw)
            count = self.count(number)
            if count["held"] + count["counted"] > pair.wanted:
                raise Refused(TooFewLabelsPerPair)

    def wanted(self, draw: float) -> int:
        """How many labels a planned pair with that draw wants."""
        if draw < self.overlap_share:
            return max(self.labels_per_pair, self.overlap_labels)
        return self.labels_per_pair

    def erase(self, prompt: int) -> None:
        gone = {number for number, pair in self.pairs.items() if pair.prompt == prompt}
        for label in self.labels.values():
            if label.pair in gone and label.status != "withdrawn":
                self.spent_on_erased += label.cost
        self.labels = {n: each for n, each in self.labels.items() if each.pair not in gone}
        self.assignments = {
            n: each for n, each in self.assignments.items() if each.pair not in gone
        }
        self.pairs = {number: pair for number, pair in self.pairs.items() if number not in gone}

    def find_pair(self, *responses: int) -> int | None:
        for number, pair in self.pairs.items():
            if set(pair.responses) == set(responses):
                return number
        return None

    def import_label(
        self, annotator: str, pair: int | None, preferred: int, rejected: int
    ) -> LabelModel | int:
        live = None if pair is None else self.live_label(pair, annotator)
        if live is None:
            return LabelModel(
                pair or 0, annotator, "left", preferred, rejected, None, "counted", Decimal(0), None
            )
        if self.labels[live].preferred != preferred:
            raise Refused(LabelDiffers)
        return live
