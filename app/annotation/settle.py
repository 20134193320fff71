"""Record labels, settle the ledger and close the pairs, in one transaction."""

from collections.abc import Collection, Iterable, Sequence
from dataclasses import dataclass
from decimal import Decimal

from sqlalchemy.ext.asyncio import AsyncSession

from app.accounts.service import Principal
from app.annotation import ledger
from app.annotation.queries import assignments as assignment_queries
from app.annotation.queries import settle as queries
from app.annotation.queries.settle import AnsweredAssignment
from app.annotation.release import has_room, lapse_expired, promote_surplus, release
from app.annotation.schemas import NewLabel
from app.errors import FieldError, InvalidInput, LabelDiffers, UnknownAssignment
from app.projects import service as projects
from app.storage.ids import IdKind, decode
from app.storage.tables import Assignment, Label, Pair, Project


@dataclass(frozen=True, slots=True)
class Settlement:
    """The stored labels of a request, in its order."""

    project: Project
    labels: Sequence[Label]
    created: int
    """How many of them are new."""


async def settle_labels(
    session: AsyncSession, principal: Principal, new_labels: Sequence[NewLabel]
) -> Settlement:
    """Record an annotator's answers to assignments of one project; all or nothing.

    A label may be late: its assignment has lapsed. It counts if pair and budget have room for it,
    and is kept as surplus otherwise. The same label again changes nothing.

    Raises:
        UnknownAssignment: one is unknown, or somebody else's.
        InvalidInput: the assignments are of several projects.
        LabelDiffers: one has a different answer already.
    """
    numbers = [decode(IdKind.ASSIGNMENT, new.assignment_id) or 0 for new in new_labels]
    locked = await queries.lock_their_projects(session, numbers, principal.id)
    answered = await queries.answered_assignments(session, numbers, principal)
    _check_all_are_there(numbers, answered)
    project = _only(locked)
    if any(found.assignment.status != "held" for found in answered.values()):
        # What other expired assignments take up is room for a late label.
        await lapse_expired(session, project, except_ids=numbers)
    labels: list[Label] = []
    created: dict[Label, Decimal] = {}
    promised = Decimal(0)
    for position, (number, new) in enumerate(zip(numbers, new_labels, strict=True)):
        found = answered[number]
        label = _same_label(found, new)
        if not found.labels:
            label = _answer(project, found, new, promised)
            found.labels.append(label)
            reserved = _reserved(found.assignment)
            promised += label.cost - reserved
            created[label] = reserved
        elif label is not None and label.assignment_id is None:
            # An imported label of the annotator's says the same already.
            if found.assignment.status == "held":
                await release(session, project, found.assignment)
        elif label is None:
            raise LabelDiffers(
                f"labels.{position}: this assignment has a different answer; undo that first"
            )
        labels.append(label)
    if created:
        totals = await queries.write_answers(session, project.id, created)
        ledger.note_totals(project, totals)
        await _promote_for_skipped(session, project, created)
    return Settlement(project, labels, len(created))


def _only(locked: Sequence[Project]) -> Project:
    if len(locked) > 1:
        error = FieldError(("body", "labels"), "the assignments are of several projects")
        raise InvalidInput(error.msg, errors=(error,))
    return locked[0]


async def _promote_for_skipped(
    session: AsyncSession, project: Project, created: Iterable[Label]
) -> None:
    """A skipped pair has room again: its oldest surplus label may count."""
    skipped = [label.pair_id for label in created if label.status == "skipped"]
    if skipped and project.surplus_labels:
        # Read the counts again: the statement that wrote the labels has changed them.
        await projects.lock_project(session, project.id)
        pairs = await assignment_queries.pairs_by_id(session, skipped)
        for pair_id in skipped:
            await promote_surplus(session, project, pairs[pair_id])


def _reserved(assignment: Assignment) -> Decimal:
    return assignment.reserved if assignment.status == "held" else Decimal(0)


def _check_all_are_there(numbers: Sequence[int], found: Collection[int]) -> None:
    for position, number in enumerate(numbers):
        if number not in found:
            raise UnknownAssignment(f"labels.{position}: no assignment of yours has that id")


def _same_label(found: AnsweredAssignment, new: NewLabel) -> Label | None:
    """The label of the pair that this is, sent again: the answer itself, or an imported label."""
    own = [label for label in found.labels if label.assignment_id is not None]
    if own:
        return own[0] if _is_same(own[0], new) else None
    imported = (label for label in found.labels if _says_the_same(label, found, new))
    return next(imported, None)


def _says_the_same(label: Label, found: AnsweredAssignment, new: NewLabel) -> bool:
    preferred, rejected = _preference(found.assignment, found.pair, new)
    return (new.is_preference or label.choice == new.choice) and (
        label.preferred_response_id,
        label.rejected_response_id,
        label.strength,
        label.edited,
        label.edited_rejected,
    ) == (preferred, rejected, new.strength, new.edited, new.edited_rejected)


def _is_same(label: Label, new: NewLabel) -> bool:
    said = (label.choice, label.strength, label.edited, label.edited_rejected)
    return said == (new.choice, new.strength, new.edited, new.edited_rejected)


def _answer(project: Project, found: AnsweredAssignment, new: NewLabel, promised: Decimal) -> Label:
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
        annotator=found.annotator,
        choice=new.choice,
        preferred_response_id=preferred,
        rejected_response_id=rejected,
        strength=new.strength,
        seconds=new.seconds,
        rationale=new.rationale,
        edited=new.edited,
        edited_rejected=new.edited_rejected,
        status=status,
        cost=cost,
    )


def _status_and_cost(
    project: Project, found: AnsweredAssignment, new: NewLabel, promised: Decimal
) -> tuple[str, Decimal]:
    was_held = found.assignment.status == "held"
    cost = ledger.cost_of_label(
        project,
        seconds=new.seconds,
        expected_seconds=found.pair.expected_seconds,
        lease_seconds=found.assignment.lease_seconds,
    )
    if new.choice == "skip":
        # In minutes and money, a skip has cost its time.
        is_paid = was_held and project.unit != "labels"
        return "skipped", cost if is_paid else Decimal(0)
    if was_held or (has_room(found.pair) and ledger.fits(project, promised + cost)):
        return "counted", cost
    return "surplus", Decimal(0)


def _preference(assignment: Assignment, pair: Pair, new: NewLabel) -> tuple[int | None, int | None]:
    """The preferred and the rejected response, whatever side each was shown on."""
    if not new.is_preference:
        return None, None
    left, right = pair.first_response_id, pair.second_response_id
    if assignment.swapped:
        left, right = right, left
    return (left, right) if new.choice == "left" else (right, left)
