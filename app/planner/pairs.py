"""From chosen pairs to rows of the plan."""

from collections.abc import Sequence
from dataclasses import asdict, dataclass

from sqlalchemy.ext.asyncio import AsyncSession

from app.planner.queries.outlook import Outlook, PlanSettings
from app.planner.queries.pairs import NewPair
from app.preference.service import count_response_words
from app.selection.cost import expected_seconds
from app.selection.draws import overlap_draw
from app.storage.arm import Arm


@dataclass(frozen=True, slots=True)
class ChosenPair:
    """A pair that a strategy or the draw has chosen, and its place in the plan."""

    prompt_id: int
    first_response_id: int
    second_response_id: int
    similarity: float | None
    arm: Arm
    strategy: str
    propensity: float | None
    position: float


async def price(
    session: AsyncSession, project: Outlook, chosen: Sequence[ChosenPair]
) -> list[NewPair]:
    """The pairs with what they are expected to cost, and how many labels they want."""
    responses = {pair.first_response_id for pair in chosen}
    responses |= {pair.second_response_id for pair in chosen}
    words = await count_response_words(session, responses)
    priced = []
    for pair in chosen:
        draw = overlap_draw(pair.first_response_id, pair.second_response_id, project.seed)
        read = words.get(pair.first_response_id, 0) + words.get(pair.second_response_id, 0)
        priced.append(
            NewPair(
                **asdict(pair),
                expected_seconds=expected_seconds(
                    read,
                    seconds_base=project.cost.seconds_base,
                    words_per_minute=project.cost.words_per_minute,
                ),
                labels_wanted=_labels_wanted(project.settings, draw),
                overlap_draw=draw,
            )
        )
    return priced


def _labels_wanted(settings: PlanSettings, draw: float) -> int:
    if draw < settings.overlap_share:
        return max(settings.labels_per_pair, settings.overlap_labels)
    return settings.labels_per_pair
