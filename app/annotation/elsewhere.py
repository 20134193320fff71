"""Take labels made elsewhere: preferences and rankings. They cost nothing."""

from collections.abc import Collection, Iterator, Sequence
from itertools import combinations

from sqlalchemy.ext.asyncio import AsyncSession

from app.annotation.imported_labels import ImportedLabel, Outcome, store_imported_labels
from app.annotation.queries import claims as queries
from app.annotation.resolve import NamedPrompt, find_by_names
from app.annotation.schemas import MadeElsewhere, RankingElsewhere
from app.annotation.settle import Settlement
from app.errors import FieldError, InvalidInput, LabelDiffers, UnknownPrompt
from app.projects import service as projects


async def take_labels_made_elsewhere(
    session: AsyncSession, project_name: str, sent: Sequence[MadeElsewhere]
) -> Settlement:
    """Store labels made elsewhere; a ranking is stored as all the preferences that it implies.

    The same label again changes nothing. All or nothing.

    Raises:
        UnknownProject, UnknownPrompt: nothing has that name or id.
        InvalidInput: the prompt has no response of that id.
        LabelDiffers: the same annotator has judged a pair otherwise.
    """
    project = await projects.find_project(session, project_name)
    # First of all: no prompt that is found from here on is erased before its labels are stored.
    await projects.lock_project(session, project.id)
    prompts = await find_by_names(session, project.id, {each.prompt_id for each in sent})
    labels: list[ImportedLabel] = []
    for place, each in enumerate(sent):
        prompt = prompts.get(each.prompt_id)
        if prompt is None:
            raise UnknownPrompt(f"labels.{place}.prompt_id: no prompt of the project has that id")
        labels += _labels_of(each, prompt, place)
    stored = await store_imported_labels(session, project.id, labels)
    if any(each.outcome is Outcome.CONFLICT for each in stored):
        raise LabelDiffers("an annotator has judged one of these pairs otherwise; undo that first")
    locked = await projects.lock_project(session, project.id)
    rows = await queries.labels_by_id(session, [each.label_id for each in stored])
    created = sum(each.outcome is Outcome.CREATED for each in stored)
    return Settlement(locked, [rows[each.label_id] for each in stored], created)


def _labels_of(sent: MadeElsewhere, prompt: NamedPrompt, place: int) -> Iterator[ImportedLabel]:
    if isinstance(sent, RankingElsewhere):
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
