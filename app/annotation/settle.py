"""Take labels: record them, settle the ledger and close the pairs, in one transaction."""

from collections.abc import Collection, Iterable, Sequence
from dataclasses import dataclass
from decimal import Decimal

from sqlalchemy.ext.asyncio import AsyncSession

from app.accounts.service import Principal
from app.annotation import ledger
from app.annotation.queries import claims as queries
from app.annotation.queries import settle as settle_queries
from app.annotation.queries.settle import AnsweredAssignment
from app.annotation.release import has_room, lapse_expired, promote_surplus, release
from app.annotation.schemas import NewLabel
from app.errors import FieldError, InvalidInput, LabelDiffers, UnknownAssignment
from app.projects import service as projects
from app.storage.ids import IdKind, decode
from app.storage.tables import Assignment, Label, Pair, Project


@dataclass(frozen=True, slots=True)
class Settlement:
    """The labels of a request as they stand, in its order."""

    project: Project
    labels: Sequence[Label]
    created: int


async def settle_labels(
    session: AsyncSession, principal: Principal, new_labels: Sequence[NewLabel]
) -> Settlement:
    """Record an annotator's answers to assignments of one project; all or nothing.

    A late label, whose assignment has lapsed, counts if pair and budget have room for it, and is
    kept as surplus otherwise. The same label again changes nothing.

    Raises:
        UnknownAssignment: one is unknown, or somebody else's.
        InvalidInput: the assignments are of several projects.
        LabelDiffers: one has a different answer already.
    """
    numbers = [decode(IdKind.ASSIGNMENT, new.assignment_id) or 0 for new in new_labels]
    locked = await settle_queries.lock_their_projects(session, numbers, principal.id)
    answered = await settle_queries.answered_assignments(session, numbers, principal)
    _check_all_are_there(numbers, answered)
    project = _only(locked)
    if any(found.assignment.status != "held" for found in answered.values()):
        # A late label may find room that others are only seen to have left when they lapse.
        await lapse_expired(session, project, but=numbers)
    labels: list[Label] = []
    created: dict[Label, Decimal] = {}
    promised = Decimal(0)
    live = {number: found.label for number, found in answered.items()}
    for position, (number, new) in enumerate(zip(numbers, new_labels, strict=True)):
        label = live[number]
        if label is None:
            label = live[number] = _answer(project, principal, answered[number], new, promised)
            reserved = _reserved(answered[number].assignment)
            promised += label.cost - reserved
            created[label] = reserved
        elif label.assignment_id is None and _says_the_same(label, answered[number], new):
            # The annotator has judged the pair elsewhere meanwhile, and the same way.
            if answered[number].assignment.status == "held":
                await release(session, project, answered[number].assignment)
        elif label.assignment_id is None or not _is_same(label, new):
            raise LabelDiffers(
                f"labels.{position}: this assignment has a different answer; undo that first"
            )
        labels.append(label)
    if created:
        spent, reserved = await settle_queries.write_answers(session, project.id, created)
        ledger.note(project, spent=spent, reserved=reserved)
        await _fill_what_was_skipped(session, project, created)
    return Settlement(project, labels, len(created))


def _only(locked: Sequence[Project]) -> Project:
    if len(locked) > 1:
        error = FieldError(("body", "labels"), "the assignments are of several projects")
        raise InvalidInput(error.msg, errors=(error,))
    return locked[0]


async def _fill_what_was_skipped(
    session: AsyncSession, project: Project, created: Iterable[Label]
) -> None:
    """A skipped pair has room again: a late label that waits for it takes it."""
    skipped = [label.pair_id for label in created if label.status == "skipped"]
    if skipped and project.surplus_labels:
        # The counts were written by a statement that the session has not seen.
        await projects.lock_project(session, project.id)
        pairs = await queries.pairs_by_id(session, skipped)
        for pair_id in skipped:
            await promote_surplus(session, project, pairs[pair_id])


def _reserved(assignment: Assignment) -> Decimal:
    return assignment.reserved if assignment.status == "held" else Decimal(0)


def _check_all_are_there(numbers: Sequence[int], found: Collection[int]) -> None:
    for position, number in enumerate(numbers):
        if number not in found:
            raise UnknownAssignment(f"labels.{position}: no assignment of yours has that id")


def _says_the_same(label: Label, found: AnsweredAssignment, new: NewLabel) -> bool:
    preferred, rejected = _preference(found.assignment, found.pair, new)
    return (new.is_preference or label.choice == new.choice) and (
        label.preferred_response_id,
        label.rejected_response_id,
        label.strength,
        label.edited,
    ) == (preferred, rejected, new.strength, new.edited)


def _is_same(label: Label, new: NewLabel) -> bool:
    return (label.choice, label.strength, label.edited) == (new.choice, new.strength, new.edited)


def _answer(
    project: Project,
    principal: Principal,
    found: AnsweredAssignment,
    new: NewLabel,
    promised: Decimal,
) -> Label:
    """The label for an assignment, not yet written.

    ``promised`` is what the labels before it in the request add to the ledger.
    """
    assignment, pair = found.assignment, found.pair
    status, cost = _status_and_cost(project, found, new, promised)
    preferred, rejected = _preference(assignment, pair, new)
    return Label(
        project_id=project.id,
        prompt_id=pair.prompt_id,
        pair_id=pair.id,
        assignment_id=assignment.id,
        annotator=principal.name,
        choice=new.choice,
        preferred_response_id=preferred,
        rejected_response_id=rejected,
        strength=new.strength,
        seconds=new.seconds,
        rationale=new.rationale,
        edited=new.edited,
        status=status,
        cost=cost,
    )


def _status_and_cost(
    project: Project, found: AnsweredAssignment, new: NewLabel, promised: Decimal
) -> tuple[str, Decimal]:
    was_held = found.assignment.status == "held"
    cost_of = ledger.cost_of_skip if new.choice == "skip" else ledger.cost_of_label
    cost = cost_of(
        project,
        seconds=new.seconds,
        expected_seconds=found.pair.expected_seconds,
        lease_seconds=found.assignment.lease_seconds,
    )
    if new.choice == "skip":
        return "skipped", cost if was_held else Decimal(0)
    if was_held or (has_room(found.pair) and ledger.fits(project, promised + cost)):
        return "counted", cost
    return "surplus", Decimal(0)


def _preference(assignment: Assignment, pair: Pair, new: NewLabel) -> tuple[int | None, int | None]:
    """The preferred and the rejected response: about responses, whatever side each stood on."""
    if not new.is_preference:
        return None, None
    left, right = pair.first_response_id, pair.second_response_id
    if assignment.swapped:
        left, right = right, left
    return (left, right) if new.choice == "left" else (right, left)
