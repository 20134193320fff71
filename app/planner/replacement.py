"""Replace the unseen pairs of prompts by others."""

from collections.abc import Collection, Sequence
from dataclasses import dataclass, field, replace

from sqlalchemy.ext.asyncio import AsyncSession

from app.planner.queries import unseen as queries
from app.planner.queries.outlook import Outlook
from app.planner.queries.pairs import NewPair, add_to_counts, insert_rows
from app.planner.queries.unseen import ResponsePair, UnseenPair


@dataclass(frozen=True, slots=True)
class PromptPairs:
    """The pairs of a prompt."""

    unseen: frozenset[UnseenPair]
    seen: frozenset[ResponsePair]


@dataclass(slots=True)
class _Changes:
    """What turns the unseen pairs of some prompts into the wanted ones."""

    deleted: list[UnseenPair] = field(default_factory=list)
    moved: list[UnseenPair] = field(default_factory=list)
    added: list[NewPair] = field(default_factory=list)

    def __len__(self) -> int:
        return len(self.deleted) + len(self.moved) + len(self.added)

    def add(self, present: Collection[UnseenPair], wanted: Sequence[NewPair]) -> None:
        """Add what turns a prompt's present pairs into the wanted ones."""
        by_responses = {pair.responses: pair for pair in present}
        for pair in wanted:
            old = by_responses.pop((pair.first_response_id, pair.second_response_id), None)
            if old is None:
                self.added.append(pair)
                continue
            new = replace(
                old,
                strategy=pair.strategy,
                position=pair.position,
                expected_seconds=pair.expected_seconds,
            )
            if new != old:
                self.moved.append(new)
        self.deleted += by_responses.values()


@dataclass(frozen=True, slots=True)
class Replacement:
    """The pairs that are to replace the unseen ones of a prompt."""

    prompt_id: int
    pairs: Sequence[NewPair]
    """Best first."""
    chosen_beside: PromptPairs | None = None
    """The prompt's pairs when these were chosen; None: the choice does not depend on them."""

    @property
    def changes_anything(self) -> bool:
        """Whether the plan does not hold just these pairs already."""
        if self.chosen_beside is None:
            return True
        changes = _Changes()
        changes.add(self.chosen_beside.unseen, self.pairs)
        return len(changes) > 0


@dataclass(frozen=True, slots=True)
class Replaced:
    """What ``replace_pairs`` did."""

    changes: int
    left_alone: set[int]
    """Prompts whose pairs have changed since the choice."""


async def read_prompt_pairs(
    session: AsyncSession, prompt_ids: Sequence[int], *, lock_unseen: bool = False
) -> dict[int, PromptPairs]:
    """The pairs of each of these prompts.

    With ``lock_unseen`` the unseen ones are locked, and those that a claim is just handing out
    count as seen. Never waits for a claim.
    """
    unseen = await queries.read_unseen(session, prompt_ids, lock=lock_unseen)
    pairs = await queries.read_pairs(session, prompt_ids)
    found = {}
    for prompt_id in prompt_ids:
        unseen_ids = {pair.id for pair in unseen[prompt_id]}
        seen = {pair for number, pair in pairs[prompt_id].items() if number not in unseen_ids}
        found[prompt_id] = PromptPairs(frozenset(unseen[prompt_id]), frozenset(seen))
    return found


async def replace_pairs(
    session: AsyncSession, project: Outlook, replacements: Sequence[Replacement]
) -> Replaced:
    """Replace the unseen pairs of these prompts, in a transaction that has begun planning."""
    ids = [one.prompt_id for one in replacements]
    existing = await queries.hold_prompts(session, ids)
    present = await read_prompt_pairs(session, ids, lock_unseen=True)
    changes, left_alone = _Changes(), set()
    for one in replacements:
        if one.prompt_id not in existing:
            continue  # erased since
        pairs = present[one.prompt_id]
        if one.chosen_beside is None or one.chosen_beside == pairs:
            changes.add(pairs.unseen, _allowed(one, pairs, project))
        else:
            left_alone.add(one.prompt_id)
    await _apply(session, project.project_id, changes)
    return Replaced(len(changes), left_alone)


def _allowed(one: Replacement, present: PromptPairs, project: Outlook) -> list[NewPair]:
    """The pairs that nobody has seen, as many as the project allows beside the seen ones."""
    unseen = [
        pair
        for pair in one.pairs
        if (pair.first_response_id, pair.second_response_id) not in present.seen
    ]
    limit = project.settings.pairs_per_prompt
    return unseen if limit is None else unseen[: max(limit - len(present.seen), 0)]


async def _apply(session: AsyncSession, project_id: int, changes: _Changes) -> None:
    await queries.delete_pairs(session, changes.deleted)
    await queries.move_pairs(session, changes.moved)
    counts = await insert_rows(session, project_id, changes.added)
    for pair in changes.deleted:
        counts[pair.prompt_id] -= 1
    await add_to_counts(session, counts)
