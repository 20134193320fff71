"""Choose anew what is in the plan and nobody has seen: another strategy, other prices, a new model.

Pairs are chosen outside of any transaction, and replaced a few hundred prompts at a time, after a
look whether anything has happened to those prompts meanwhile. A claim finds all the other pairs of
the plan in each of these moments, and a plan of which a part is old is a plan as well.
"""

from collections import defaultdict, deque
from collections.abc import Sequence
from dataclasses import dataclass, field
from itertools import takewhile
from typing import Protocol

from sqlalchemy.ext.asyncio import AsyncSession

from app.planner.page import choose_of_page, first_page
from app.planner.pairs import ChosenPair, price
from app.planner.queries import prompts as queries
from app.planner.queries.outlook import Outlook
from app.planner.queries.pairs import NewPair
from app.planner.queries.prompts import PlannablePrompt
from app.planner.replacement import Replacement, read_known
from app.selection.cost import Pricing
from app.selection.model.preference import PreferenceModel
from app.selection.strategy import Strategy
from app.settings import PLAN_AHEAD
from app.storage.sessions import Sessions

PROMPTS_AT_A_TIME = 256
"""In one transaction."""


@dataclass(frozen=True, slots=True)
class Basis:
    """What a plan is made with."""

    strategy: str
    pricing: Pricing | None
    fits: int
    """How often the model had been fitted; 0 for a strategy that does not learn."""


class Renewal(Protocol):
    """The prompts that are still to be chosen anew, on one basis."""

    @property
    def basis(self) -> Basis:
        """What is chosen with."""

    @property
    def size(self) -> int:
        """How many there were."""

    def __len__(self) -> int:
        """How many are left."""

    async def next_replacements(self, sessions: Sessions, project: Outlook) -> list[Replacement]:
        """Choose for some of them. A bounded part of what there is to do."""

    def put_back(self, prompt_ids: set[int]) -> None:
        """Something has happened to these since: choose for them once more, later."""


class RenewalByRound:
    """For a strategy by rounds: as many pairs of each prompt as it has in the plan."""

    def __init__(
        self,
        basis: Basis,
        strategy: Strategy,
        model: PreferenceModel | None,
        prompts: Sequence[PlannablePrompt],
    ) -> None:
        self.basis = basis
        self._strategy = strategy
        self._model = model
        self._todo = deque(prompts)
        self.size = len(prompts)
        self._chosen: Sequence[PlannablePrompt] = ()

    def __len__(self) -> int:
        """How many are left."""
        return len(self._todo)

    async def next_replacements(self, sessions: Sessions, project: Outlook) -> list[Replacement]:
        """Choose for the next page: a shortlist, if the strategy ranks prompts."""
        assert project.dimensions is not None
        last = self._todo[0].exploration
        alike = list(takewhile(lambda prompt: prompt.exploration == last, self._todo))
        page = first_page(alike, self._strategy, project.dimensions)
        async with sessions() as session:
            # One snapshot for what is in the plan, and for what is chosen because of it.
            await session.connection(execution_options={"isolation_level": "REPEATABLE READ"})
            known = await read_known(session, page)
            chosen = await choose_of_page(
                session,
                project,
                self._strategy,
                page,
                self._model,
                per_prompt=max((len(one.untouched) for one in known.values()), default=0),
                last=last,
                most=None,
                ignore_unseen=True,
            )
            by_prompt: dict[int, list[ChosenPair]] = defaultdict(list)
            for pair in chosen:
                if len(by_prompt[pair.prompt_id]) < len(known[pair.prompt_id].untouched):
                    by_prompt[pair.prompt_id].append(pair)
            priced = await _priced(session, project, by_prompt)
        for _ in page:
            self._todo.popleft()
        self._chosen = page
        replacements = [Replacement(number, priced[number], one) for number, one in known.items()]
        return [one for one in replacements if not one.is_needless]

    def put_back(self, prompt_ids: set[int]) -> None:
        """Choose for these once more, after the others."""
        self._todo.extend(prompt for prompt in self._chosen if prompt.id in prompt_ids)


@dataclass
class RenewalOfCollection:
    """For a strategy over the whole collection: its first pairs, in place of all that is there."""

    basis: Basis
    best: Sequence[ChosenPair]
    """In the order of the plan."""
    prompts: Sequence[PlannablePrompt]
    """With pairs that may have to leave the plan."""
    size: int = field(init=False)
    _todo: deque[int] = field(init=False)
    _by_prompt: dict[int, list[ChosenPair]] = field(init=False)

    def __post_init__(self) -> None:
        """Group the pairs by prompt, the prompts in the order of their best pairs."""
        self._by_prompt = defaultdict(list)
        for pair in self.best:
            self._by_prompt[pair.prompt_id].append(pair)
        leaving = [one.id for one in self.prompts if one.id not in self._by_prompt]
        self._todo = deque([*self._by_prompt, *leaving])
        self.size = len(self._todo)

    def __len__(self) -> int:
        """How many are left."""
        return len(self._todo)

    async def next_replacements(self, sessions: Sessions, project: Outlook) -> list[Replacement]:
        """Some hundred prompts, their pairs with prices."""
        ids = [self._todo.popleft() for _ in range(min(PROMPTS_AT_A_TIME, len(self._todo)))]
        async with sessions() as session:
            chosen = {prompt_id: self._by_prompt.get(prompt_id, []) for prompt_id in ids}
            priced = await _priced(session, project, chosen)
        return [Replacement(prompt_id, priced[prompt_id]) for prompt_id in ids]

    def put_back(self, prompt_ids: set[int]) -> None:
        """Never needed: what is chosen of a prompt does not depend on its other pairs."""


async def _priced(
    session: AsyncSession, project: Outlook, chosen: dict[int, list[ChosenPair]]
) -> dict[int, list[NewPair]]:
    priced: dict[int, list[NewPair]] = defaultdict(list)
    everything = [pair for pairs in chosen.values() for pair in pairs]
    for pair in await price(session, project, everything):
        priced[pair.prompt_id].append(pair)
    return priced


async def start_of_collection(
    sessions: Sessions, project: Outlook, basis: Basis, best: Sequence[ChosenPair]
) -> RenewalOfCollection:
    """Put these pairs in place of all that the plan holds and nobody has seen."""
    async with sessions() as session:
        prompts = await queries.find_renewable(session, project.project_id)
    return RenewalOfCollection(basis, best[:PLAN_AHEAD], prompts)


async def start_by_round(
    sessions: Sessions,
    project: Outlook,
    basis: Basis,
    strategy: Strategy,
    model: PreferenceModel | None,
) -> RenewalByRound:
    """Choose anew of all prompts that have pairs in the plan which nobody has seen."""
    async with sessions() as session:
        prompts = await queries.find_renewable(session, project.project_id)
    return RenewalByRound(basis, strategy, model, prompts)
