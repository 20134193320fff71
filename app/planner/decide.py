"""Decide what to do next for a project's plan. Nothing is read or written here."""

from collections.abc import Collection, Iterator, Sequence
from dataclasses import dataclass, replace
from typing import Final

from app.planner.queries.outlook import Outlook, PlanSettings
from app.planner.queries.pairs import ChosenPair
from app.planner.queries.prompts import PlannablePrompt
from app.selection.cost import Pricing
from app.selection.model.preference import PreferenceModel
from app.selection.registry import STRATEGIES
from app.selection.strategies.learning import FIRST_LABELS
from app.selection.strategy import Strategy

_GROWTH: Final = 0.1
"""Fit a model, and rank prompts, again after a growth by a tenth."""
_REST: Final = 9.0
"""Fitting a model, and renewing the plan with it, take at most a tenth of the planner's time."""


class UnknownStrategy(LookupError):
    """The project names a strategy that this version does not have."""


@dataclass(frozen=True, slots=True)
class Basis:
    """What the pairs of a plan are chosen with. Another basis calls for a renewal."""

    strategy: str
    pricing: Pricing | None
    fits: int
    """How often the model had been fitted; 0 if the strategy does not learn."""


@dataclass(frozen=True, slots=True)
class RenewalByRound:
    """A renewal for a strategy by rounds: each prompt keeps its number of pairs."""

    basis: Basis
    size: int
    """How many prompts there were at first."""
    prompts: tuple[PlannablePrompt, ...]
    """Those that are left."""


@dataclass(frozen=True, slots=True)
class RenewalOfCollection:
    """A renewal for a collection-wide strategy: its first pairs replace all unseen ones."""

    basis: Basis
    size: int
    """How many prompts there were at first."""
    prompts: tuple[tuple[int, Sequence[ChosenPair]], ...]
    """Those that are left, and the pairs of each that belong in the plan."""


@dataclass(frozen=True, slots=True)
class Memory:
    """What a planner remembers of a project from step to step.

    All of it can be lost: a planner that takes a project over begins with an empty memory, fits the
    model again and renews the plan once.
    """

    settings: PlanSettings | None = None
    """The settings that the plan was last made to fit."""
    filling: bool = False
    """A top-up is filling the plan to its full length."""
    unscanned: frozenset[int] = frozenset()
    """Prompts with new pairs that a collection-wide strategy has not looked at."""
    model: PreferenceModel | None = None
    """The last model fitted; None: the strategy does not learn, or has no labels to learn from."""
    fitted_labels: int | None = None
    """How many labels there were when the model was fitted; None: it has not been."""
    fits: int = 0
    rest_until: float = 0.0
    """The time before which nothing expensive is repeated."""
    renewal: RenewalByRound | RenewalOfCollection | None = None
    """The renewal under way."""
    renewed: Basis | None = None
    """The basis of the last complete renewal."""
    ranked: int = 0
    """For a strategy that ranks prompts: how many that renewal ranked together."""
    unranked: int = 0
    """How many pairs entered the plan since."""


@dataclass(frozen=True, slots=True)
class Outcome:
    """What a step led to."""

    memory: Memory
    """What to remember after it."""
    moved: bool
    """Whether it led any further."""


@dataclass(frozen=True, slots=True)
class ApplySettings:
    """Make the unseen pairs fit the project's settings."""


@dataclass(frozen=True, slots=True)
class RemoveOutgrown:
    """Remove the unseen pairs of outgrown prompts."""


@dataclass(frozen=True, slots=True)
class TopUpByRound:
    """Plan the next pairs of the next prompts."""

    fill: bool
    """Up to the plan's full length, instead of up to its horizon."""


@dataclass(frozen=True, slots=True)
class ScanCollection:
    """Plan the next pairs of the whole collection."""


@dataclass(frozen=True, slots=True)
class PlanArrived:
    """Plan those pairs of these prompts that belong before the horizon."""

    prompt_ids: frozenset[int]


@dataclass(frozen=True, slots=True)
class FitModel:
    """Fit the preference model to the labels."""


@dataclass(frozen=True, slots=True)
class BeginRenewal:
    """Begin to replace all unseen pairs."""

    basis: Basis


@dataclass(frozen=True, slots=True)
class ContinueRenewal:
    """Replace the unseen pairs of some more prompts."""


ShortStep = ApplySettings | RemoveOutgrown | TopUpByRound
"""Short steps of one turn share a transaction: a claim never sees a gap that a top-up closes."""
LongStep = ScanCollection | PlanArrived | FitModel | BeginRenewal | ContinueRenewal
"""Long steps read and compute without a lock, and write in short transactions of their own."""
Step = ShortStep | LongStep


def find_strategy(name: str) -> Strategy:
    """The strategy of that name.

    Raises:
        UnknownStrategy: there is none.
    """
    try:
        return STRATEGIES[name]
    except KeyError:
        raise UnknownStrategy(f"no strategy is called {name}") from None


def next_step(
    outlook: Outlook, memory: Memory, now: float, done: Collection[type[Step]] = ()
) -> Step | None:
    """The most urgent step that is due; None: there is nothing to do.

    Args:
        outlook: what the database says about the project.
        memory: what the planner remembers of it.
        now: the time, in seconds of the clock that ``memory.rest_until`` is in.
        done: kinds of steps that were taken in this turn. Each is taken once a turn, so that a step
            that is always due, or leads nowhere, does not keep the others waiting.
    """
    for step in _due_steps(outlook, memory, now):
        if type(step) not in done:
            return step
        if isinstance(step, TopUpByRound) and memory.filling:
            break  # a plan that is being filled is not renewed yet
    return None


def _due_steps(outlook: Outlook, memory: Memory, now: float) -> Iterator[Step]:
    """What is due, the most urgent first."""
    if outlook.dimensions is None:
        return
    strategy = find_strategy(outlook.settings.strategy)
    renewal = _renewal_due(outlook, memory, strategy, now)
    if outlook.settings != memory.settings:
        yield ApplySettings()
    if outlook.outgrown:
        yield RemoveOutgrown()
    if not strategy.collection_wide:
        if memory.filling or outlook.is_low:
            yield TopUpByRound(fill=memory.filling or outlook.horizon is None)
    elif renewal is None:  # a renewal scans the collection anyway
        if outlook.horizon is None and (outlook.plannable or memory.unscanned):
            yield ScanCollection()
        elif memory.unscanned:
            yield PlanArrived(memory.unscanned)
    is_between_renewals = strategy.learns and memory.renewal is None
    if is_between_renewals and _is_model_due(outlook.counted_labels, memory, now):
        yield FitModel()
    if renewal is not None:
        yield renewal


def _renewal_due(
    outlook: Outlook, memory: Memory, strategy: Strategy, now: float
) -> BeginRenewal | ContinueRenewal | None:
    basis = Basis(
        outlook.settings.strategy,
        outlook.settings.pricing,
        memory.fits if strategy.learns else 0,
    )
    if memory.renewal is not None and memory.renewal.basis == basis:
        return ContinueRenewal()
    is_ranking_due = (
        strategy.ranks_prompts
        and memory.unranked > _GROWTH * memory.ranked
        and now >= memory.rest_until
    )
    is_due = memory.renewal is not None or memory.renewed != basis
    return BeginRenewal(basis) if is_due or outlook.foreign or is_ranking_due else None


def _is_model_due(counted_labels: int, memory: Memory, now: float) -> bool:
    """Whether the labels have changed by a tenth; withdrawn and erased ones make them fewer."""
    if memory.fitted_labels is None:
        return counted_labels >= FIRST_LABELS
    change = abs(counted_labels - memory.fitted_labels)
    return now >= memory.rest_until and change > 0 and change >= _GROWTH * memory.fitted_labels


def with_unscanned(memory: Memory, outlook: Outlook, prompt_ids: Collection[int]) -> Memory:
    """Remember prompts with new pairs, if the strategy is one that has to look at them."""
    if not prompt_ids or not find_strategy(outlook.settings.strategy).collection_wide:
        return memory
    return replace(memory, unscanned=memory.unscanned.union(prompt_ids))


def with_settings(memory: Memory, settings: PlanSettings) -> Memory:
    """Remember that the plan fits these settings."""
    strategy = find_strategy(settings.strategy)
    if not strategy.learns:
        memory = replace(memory, model=None, fitted_labels=None)
    filling = memory.filling and not strategy.collection_wide
    return replace(memory, settings=settings, filling=filling)


def with_rest(memory: Memory, now: float, seconds: float) -> Memory:
    """Remember to rest, after so many seconds spent on a model or on what follows from it."""
    return replace(memory, rest_until=max(memory.rest_until, now) + _REST * seconds)
