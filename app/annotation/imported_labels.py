"""Imported labels: made elsewhere, stored as they are, and at no cost."""

from collections.abc import Collection, Iterator, Sequence
from dataclasses import dataclass
from enum import StrEnum
from itertools import combinations

from sqlalchemy.ext.asyncio import AsyncSession

from app.annotation.queries import imported_labels as queries
from app.annotation.queries import labels as label_queries
from app.annotation.queries.imported_labels import Answer, NewLabelRow
from app.annotation.resolve import (
    NamedPrompt,
    find_by_names,
    find_project_of,
    unknown_prompt,
)
from app.annotation.schemas import IMPORT_ANNOTATOR, ImportedRanking, NewImportedLabel
from app.annotation.settle import Settlement
from app.errors import FieldError, InvalidInput, LabelDiffers
from app.projects import service as projects
from app.settings import DEFAULT_PROJECT
from app.storage.arm import Arm


class Outcome(StrEnum):
    """What became of a label that was sent."""

    CREATED = "created"
    UNCHANGED = "unchanged"
    CONFLICT = "conflict"
    """The annotator has already judged this pair, and otherwise; it is not stored."""


@dataclass(frozen=True, slots=True)
class ImportedLabel:
    """Somebody's preference between two responses of one prompt; None: a tie, or both bad."""

    prompt_id: int
    response_ids: tuple[int, int]
    """The lower number first."""
    preferred_response_id: int | None
    annotator: str = IMPORT_ANNOTATOR
    strength: int | None = None
    both_bad: bool = False
    seconds: float | None = None
    rationale: str | None = None
    edited: str | None = None
    edited_rejected: str | None = None
    automatic: bool = False

    @property
    def status(self) -> str:
        """Whether it counts as a person's."""
        return "automatic" if self.automatic else "counted"

    @property
    def choice(self) -> str:
        """As if the first response of the pair had been shown on the left."""
        if self.preferred_response_id is None:
            return "both_bad" if self.both_bad else "tie"
        return "left" if self.preferred_response_id == self.response_ids[0] else "right"

    @property
    def answer(self) -> Answer:
        """What it says."""
        return self.preferred_response_id or self.choice

    @property
    def rejected_response_id(self) -> int | None:
        """The other response; None where none is preferred."""
        if self.preferred_response_id is None:
            return None
        first, second = self.response_ids
        return second if self.preferred_response_id == first else first


@dataclass(frozen=True, slots=True)
class StoredImport:
    """The stored label that an imported one is, and whether it is new."""

    label_id: int
    outcome: Outcome


async def store_imported_labels(
    session: AsyncSession,
    project_id: int,
    labels: Sequence[ImportedLabel],
    *,
    one_answer: bool = False,
    changing: Collection[int] = (),
) -> list[StoredImport]:
    """Store labels; gives for each, in the order sent, the stored label that it is.

    The same label again changes nothing. An annotator's different answers to one pair are kept,
    once each: aggregation decides. With ``one_answer`` the first stands, and another is a conflict.
    A pair that is not in the plan is added, so that it is known as labelled; for automatic labels
    alone, it can still enter the plan. The project's row
    stays locked until the transaction ends. ``changing`` are prompts that the caller is going to
    change: they are locked together with those whose pairs are counted.

    Raises:
        UnknownProject: the project has been deleted.
    """
    if not labels:
        return []
    await projects.lock_project(session, project_id)
    wanted = {(each.prompt_id, *each.response_ids): Arm.AUTOMATIC for each in labels}
    for each in labels:
        if not each.automatic:
            wanted[each.prompt_id, *each.response_ids] = Arm.IMPORTED
    pair_of = await queries.find_or_add_pairs(session, project_id, wanted, changing)
    keys = [(pair_of[label.response_ids], label.annotator) for label in labels]
    live = await queries.live_labels(session, {pair_id for pair_id, _ in keys})
    new_ids = iter(await queries.next_label_ids(session, len(labels)))
    new: list[NewLabelRow] = []
    stored: list[StoredImport] = []
    for (pair_id, annotator), label in zip(keys, labels, strict=True):
        answers = live.setdefault((pair_id, annotator), {})
        if label.answer in answers:
            stored.append(StoredImport(answers[label.answer], Outcome.UNCHANGED))
        elif answers and one_answer:
            stored.append(StoredImport(min(answers.values()), Outcome.CONFLICT))
        else:
            answers[label.answer] = next(new_ids)
            stored.append(StoredImport(answers[label.answer], Outcome.CREATED))
            new.append(NewLabelRow(answers[label.answer], pair_id, label))
    await queries.insert_labels(session, project_id, new)
    return stored


async def take_imported_labels(
    session: AsyncSession, project_name: str | None, sent: Sequence[NewImportedLabel]
) -> Settlement:
    """Store a request's imported labels, all or none; the same label again changes nothing.

    A ranking is stored as all the preferences that it implies. Without a ``project_name``, the
    caller's own ids are of the project ``default``, and ours of any one project.

    Raises:
        UnknownProject, UnknownPrompt: nothing has that name or id.
        InvalidInput: the prompt has no response of that id, or the prompts are of several projects.
        LabelDiffers: the same annotator has judged a pair otherwise, and not so too.
    """
    named = await projects.find_project(
        session, DEFAULT_PROJECT if project_name is None else project_name
    )
    names = [each.prompt_id for each in sent]
    project_id = await find_project_of(session, names, named, is_given=project_name is not None)
    # Locked first, so that no prompt is erased between being found and getting its labels.
    project = await projects.lock_project(session, project_id)
    prompts = await find_by_names(session, project.id, {each.prompt_id for each in sent})
    labels: list[ImportedLabel] = []
    for place, each in enumerate(sent):
        prompt = prompts.get(each.prompt_id)
        if prompt is None:
            raise unknown_prompt(place)
        labels += _labels_of(each, prompt, place)
    stored = await store_imported_labels(session, project.id, labels, one_answer=True)
    if any(each.outcome is Outcome.CONFLICT for each in stored):
        raise LabelDiffers("an annotator has judged one of these pairs otherwise; undo that first")
    await projects.lock_project(session, project.id)  # reads the new counts
    rows = await label_queries.labels_by_id(session, [each.label_id for each in stored])
    created = sum(each.outcome is Outcome.CREATED for each in stored)
    return Settlement(project, [rows[each.label_id] for each in stored], created)


def _labels_of(sent: NewImportedLabel, prompt: NamedPrompt, place: int) -> Iterator[ImportedLabel]:
    if isinstance(sent, ImportedRanking):
        tiers = [_numbers(prompt, tier, (place, "ranking")) for tier in sent.ranking]
        strength = None
    else:
        tiers = [
            _numbers(prompt, [sent.preferred], (place, "preferred")),
            _numbers(prompt, [sent.rejected], (place, "rejected")),
        ]
        strength = sent.strength
    ranked = [(response_id, tier) for tier, ids in enumerate(tiers) for response_id in ids]
    if len({response_id for response_id, _ in ranked}) < len(ranked):
        _refuse((place,), "names one response twice, by both of its ids")
    for (better, tier), (worse, other_tier) in combinations(ranked, 2):
        yield ImportedLabel(
            prompt_id=prompt.id,
            response_ids=(min(better, worse), max(better, worse)),
            preferred_response_id=None if tier == other_tier else better,
            annotator=sent.annotator,
            strength=strength,
            automatic=sent.automatic,
        )


def _numbers(
    prompt: NamedPrompt, names: Collection[str], place: tuple[str | int, ...]
) -> list[int]:
    for name in names:
        if name not in prompt.responses:
            _refuse(place, "the prompt has no response of that id")
    return [prompt.responses[name] for name in names]


def _refuse(place: tuple[str | int, ...], message: str) -> None:
    error = FieldError(("body", "labels", *place), message)
    raise InvalidInput(f"labels.{'.'.join(map(str, place))}: {message}", errors=(error,))
