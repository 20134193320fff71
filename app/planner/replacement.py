"""Put other pairs in place of those in the plan that nobody has seen."""

from collections.abc import Collection, Sequence
from dataclasses import dataclass, field, replace

from sqlalchemy.ext.asyncio import AsyncSession

from app.planner.queries import unseen as queries
from app.planner.queries.outlook import Outlook
from app.planner.queries.pairs import NewPair, add_to_counts, insert_rows
from app.planner.queries.prompts import PlannablePrompt
from app.planner.queries.unseen import ResponsePair, UnseenPair


@dataclass(frozen=True, slots=True)
class PairsOfPrompt:
    """A prompt's pairs in the plan, or that were."""

    untouched: frozenset[UnseenPair]
    """Those that nobody has seen."""
    touched: frozenset[ResponsePair]


@dataclass(slots=True)
class _Changes:
    """What makes other pairs of those that are there."""

    deleted: list[UnseenPair] = field(default_factory=list)
    moved: list[UnseenPair] = field(default_factory=list)
    added: list[NewPair] = field(default_factory=list)

    def __len__(self) -> int:
        return len(self.deleted) + len(self.moved) + len(self.added)

    def note(self, present: Collection[UnseenPair], wanted: Sequence[NewPair]) -> None:
        """What makes ``wanted`` of the pairs that are there."""
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
    """What is to stand in the plan for those pairs of a prompt that nobody has seen."""

    prompt_id: int
    pairs: Sequence[NewPair]
    """Best first."""
    known: PairsOfPrompt | None = None
    """What the choice depends on; None: not on the prompt's other pairs."""

    @property
    def is_needless(self) -> bool:
        """The pairs stand in the plan already, all and alone."""
        if self.known is None:
            return False
        changes = _Changes()
        changes.note(self.known.untouched, self.pairs)
        return not len(changes)


@dataclass(frozen=True, slots=True)
class Replaced:
    """What came of it."""

    changes: int
    put_back: set[int]
    """Prompts to which something has happened since the choice: they were left as they are."""


async def read_known(
    session: AsyncSession, prompts: Sequence[PlannablePrompt]
) -> dict[int, PairsOfPrompt]:
    """The pairs of each of these prompts, as the session sees them."""
    ids = [prompt.id for prompt in prompts]
    untouched = await queries.read_unseen(session, ids)
    pairs = await queries.read_pairs(session, ids)
    return {prompt_id: _sorted_out(pairs[prompt_id], untouched[prompt_id]) for prompt_id in ids}


def _sorted_out(pairs: dict[int, ResponsePair], untouched: Sequence[UnseenPair]) -> PairsOfPrompt:
    free = {pair.id for pair in untouched}
    touched = frozenset(pair for number, pair in pairs.items() if number not in free)
    return PairsOfPrompt(frozenset(untouched), touched)


async def replace_pairs(
    session: AsyncSession, project: Outlook, replacements: Sequence[Replacement]
) -> Replaced:
    """Replace the pairs of these prompts that nobody has seen, in a transaction of the planner's.

    Pairs that a claim is handing out just now count as seen. Never waits for a claim.
    """
    ids = [one.prompt_id for one in replacements]
    present = await queries.hold_prompts(session, ids)
    untouched = await queries.read_unseen(session, ids, lock=True)
    pairs = await queries.read_pairs(session, ids)
    changes, put_back = _Changes(), set()
    for one in replacements:
        if one.prompt_id not in present:
            continue  # erased meanwhile
        now = _sorted_out(pairs[one.prompt_id], untouched[one.prompt_id])
        if one.known is not None and one.known != now:
            put_back.add(one.prompt_id)
            continue
        changes.note(now.untouched, _fitting(one, now, project))
    await _apply(session, project.project_id, changes)
    return Replaced(len(changes), put_back)


def _fitting(one: Replacement, now: PairsOfPrompt, project: Outlook) -> list[NewPair]:
    """The pairs that nobody has seen yet, as many as the project lets a prompt have."""
    free = [
        pair
        for pair in one.pairs
        if (pair.first_response_id, pair.second_response_id) not in now.touched
    ]
    most = project.settings.pairs_per_prompt
    return free if most is None else free[: max(most - len(now.touched), 0)]


async def _apply(session: AsyncSession, project_id: int, changes: _Changes) -> None:
    await queries.delete_pairs(session, changes.deleted)
    await queries.move_pairs(session, changes.moved)
    more = await insert_rows(session, project_id, changes.added)
    for pair in changes.deleted:
        more[pair.prompt_id] -= 1
    await add_to_counts(session, more)
