"""Labels made elsewhere: stored as they are, and at no cost."""

from collections.abc import Sequence
from dataclasses import dataclass
from enum import StrEnum

from sqlalchemy.ext.asyncio import AsyncSession

from app.annotation.queries import imported_labels as label_queries
from app.annotation.queries.imported_labels import LiveLabel
from app.projects import service as projects

IMPORT_ANNOTATOR = "import"
"""Who made a label where the source does not say."""


class Outcome(StrEnum):
    """What became of a label that was sent."""

    CREATED = "created"
    UNCHANGED = "unchanged"
    CONFLICT = "conflict"
    """The annotator has already judged this pair, and otherwise."""


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

    @property
    def choice(self) -> str:
        """As if the first response of the pair had been shown on the left."""
        if self.preferred_response_id is None:
            return "both_bad" if self.both_bad else "tie"
        return "left" if self.preferred_response_id == self.response_ids[0] else "right"

    @property
    def rejected_response_id(self) -> int | None:
        """The other response; None where none is preferred."""
        if self.preferred_response_id is None:
            return None
        first, second = self.response_ids
        return second if self.preferred_response_id == first else first


@dataclass(frozen=True, slots=True)
class StoredLabel:
    """A label that stands for one that was sent."""

    label_id: int
    pair_id: int
    outcome: Outcome


async def store_imported_labels(
    session: AsyncSession, project_id: int, labels: Sequence[ImportedLabel]
) -> list[StoredLabel]:
    """Store labels, and tell for each, in the order sent, what stands for it now.

    The same label again is unchanged; where an annotator's labels on one pair differ, the first
    stands. Pairs that are not in the plan enter it, so that they are known as labelled. Takes the
    lock of the project's row and keeps it until the transaction ends.

    Raises:
        UnknownProject: the project has been deleted.
    """
    if not labels:
        return []
    await projects.lock_project(session, project_id)
    pair_of = await label_queries.find_or_add_pairs(
        session,
        project_id,
        {(label.prompt_id, *label.response_ids) for label in labels},
    )
    pair_ids = [pair_of[label.response_ids] for label in labels]
    live = await label_queries.live_labels(session, pair_ids)
    new: dict[tuple[int, str], ImportedLabel] = {}
    for label, pair_id in zip(labels, pair_ids, strict=True):
        key = (pair_id, label.annotator)
        if key not in live:
            new.setdefault(key, label)
    ids = await label_queries.insert_labels(session, project_id, new)
    stored = []
    for label, pair_id in zip(labels, pair_ids, strict=True):
        key = (pair_id, label.annotator)
        if key in live:
            stored.append(StoredLabel(live[key].id, pair_id, _compared(label, live[key])))
        elif new[key] is label:
            stored.append(StoredLabel(ids[key], pair_id, Outcome.CREATED))
        else:
            first = LiveLabel(ids[key], new[key].preferred_response_id, new[key].choice)
            stored.append(StoredLabel(first.id, pair_id, _compared(label, first)))
    return stored


def _compared(label: ImportedLabel, live: LiveLabel) -> Outcome:
    # Which side is left is each label's own: where a response is preferred, that one is compared.
    is_same = live.preferred_response_id == label.preferred_response_id and (
        label.preferred_response_id is not None or live.choice == label.choice
    )
    return Outcome.UNCHANGED if is_same else Outcome.CONFLICT
