"""What to do next for a plan: a table of cases."""

from dataclasses import replace
from typing import Any, get_args

import pytest

from app.planner.decide import (
    ApplySettings,
    Basis,
    BeginRenewal,
    ContinueRenewal,
    FitModel,
    Memory,
    PlanArrived,
    RemoveOutgrown,
    RenewalByRound,
    ScanCollection,
    Step,
    TopUpByRound,
    UnknownStrategy,
    next_step,
    with_rest,
    with_settings,
    with_unscanned,
)
from app.planner.queries.outlook import Outlook, PlanSettings
from app.planner.queries.prompts import PlannablePrompt
from app.selection.cost import Pricing
from app.vectors.marks import Position, VectorSource

NOW = 1000.0
PRICING = Pricing(seconds_base=8, words_per_minute=238)
BY_ROUND = "dissimilar"
COLLECTION_WIDE = "dissimilar-global"
RANKING = "coverage"
"""Ranks prompts, without a model."""
LEARNING = "thompson"
"""Ranks prompts with a model."""
PROMPT = PlannablePrompt(
    id=1, exploration=False, pairs_planned=1, near_duplicate=False, order_key=0.5, pairs_total=3
)


def settings(strategy: str, **changes: Any) -> PlanSettings:
    found = PlanSettings(
        strategy=strategy,
        labels_per_pair=1,
        overlap_share=0.1,
        overlap_labels=2,
        pairs_per_prompt=None,
        pricing=None,
    )
    return replace(found, **changes)


def outlook(strategy: str = BY_ROUND, **changes: Any) -> Outlook:
    """A project whose plan holds all pairs there are."""
    found = Outlook(
        project_id=1,
        seed=7,
        settings=settings(strategy),
        exploration=0.1,
        cost=PRICING,
        counted_labels=0,
        dimensions=16,
        grouped_by=VectorSource(1),
        ended_import=False,
        arriving=False,
        outgrown=False,
        foreign=False,
        last_question=Position(0, 0),
        last_erased=Position(0, 0),
        plannable=False,
        earliest_position=None,
        horizon=None,
    )
    return replace(found, **changes)


def low(strategy: str = BY_ROUND, **changes: Any) -> Outlook:
    """A project with a pair that is missing before the horizon of its plan."""
    missing = {"plannable": True, "earliest_position": 0.3, "horizon": 2.4}
    return outlook(strategy, **{**missing, **changes})


def memory(strategy: str = BY_ROUND, **changes: Any) -> Memory:
    """A planner that has nothing left to do."""
    found = Memory(settings=settings(strategy), renewed=Basis(strategy, None, fits=0))
    return replace(found, **changes)


def fitted(strategy: str = LEARNING, labels: int = 100, **changes: Any) -> Memory:
    """A planner that fitted a model to so many labels, and renewed the plan with it."""
    return memory(
        strategy,
        **{"fitted_labels": labels, "fits": 1, "renewed": Basis(strategy, None, 1), **changes},
    )


def renewing(strategy: str = BY_ROUND, fits: int = 0) -> RenewalByRound:
    return RenewalByRound(Basis(strategy, None, fits), size=2, prompts=(PROMPT,))


CASES: dict[str, tuple[Outlook, Memory, Step | None]] = {
    # Nothing
    "all is done": (outlook(), memory(), None),
    "nothing has been embedded yet": (low(dimensions=None), Memory(), None),
    "arrivals and erasures are the index's work": (
        outlook(arriving=True, last_erased=Position(5, 5)),
        memory(),
        None,
    ),
    # ApplySettings
    "a planner takes the project over": (outlook(), Memory(), ApplySettings()),
    "the settings have changed": (
        low(settings=settings(BY_ROUND, labels_per_pair=2), outgrown=True),
        memory(),
        ApplySettings(),
    ),
    # RemoveOutgrown
    "prompts got responses, and pairs are missing": (
        low(outgrown=True),
        memory(),
        RemoveOutgrown(),
    ),
    # TopUpByRound
    "a pair is missing before the horizon": (low(), memory(), TopUpByRound(fill=False)),
    "the next pair stands behind the horizon": (
        low(earliest_position=2.4),
        memory(),
        None,
    ),
    "the plan is shorter than its horizon": (
        low(horizon=None),
        memory(),
        TopUpByRound(fill=True),
    ),
    "the plan is being filled": (
        low(earliest_position=2.4),
        memory(filling=True),
        TopUpByRound(fill=True),
    ),
    "pairs are missing, and a renewal is under way": (
        low(),
        memory(renewal=renewing()),
        TopUpByRound(fill=False),
    ),
    # ScanCollection and PlanArrived
    "a collection-wide plan is shorter than its horizon": (
        low(COLLECTION_WIDE, horizon=None),
        memory(COLLECTION_WIDE, unscanned=frozenset({3})),
        ScanCollection(),
    ),
    "prompts came to a collection-wide plan": (
        low(COLLECTION_WIDE),
        memory(COLLECTION_WIDE, unscanned=frozenset({3, 4})),
        PlanArrived(frozenset({3, 4})),
    ),
    "a collection-wide plan is long enough": (
        low(COLLECTION_WIDE),
        memory(COLLECTION_WIDE),
        None,
    ),
    "a collection-wide plan is to be renewed first": (
        low(COLLECTION_WIDE, horizon=None),
        memory(COLLECTION_WIDE, unscanned=frozenset({3}), renewed=None),
        BeginRenewal(Basis(COLLECTION_WIDE, None, 0)),
    ),
    "prompts came to a collection-wide plan that is being renewed": (
        low(COLLECTION_WIDE),
        memory(COLLECTION_WIDE, unscanned=frozenset({3}), renewal=renewing(COLLECTION_WIDE)),
        ContinueRenewal(),
    ),
    # FitModel
    "the first labels are too few": (
        outlook(LEARNING, counted_labels=49),
        memory(LEARNING),
        None,
    ),
    "the first labels are enough": (
        outlook(LEARNING, counted_labels=50),
        memory(LEARNING),
        FitModel(),
    ),
    "the first model is fitted without a rest": (
        outlook(LEARNING, counted_labels=50),
        memory(LEARNING, rest_until=NOW + 1),
        FitModel(),
    ),
    "labels have hardly grown": (
        outlook(LEARNING, counted_labels=109),
        fitted(),
        None,
    ),
    "labels have grown by a tenth": (outlook(LEARNING, counted_labels=110), fitted(), FitModel()),
    "less than a tenth of the labels was withdrawn": (
        outlook(LEARNING, counted_labels=91),
        fitted(),
        None,
    ),
    "a tenth of the labels was withdrawn": (
        outlook(LEARNING, counted_labels=90),
        fitted(),
        FitModel(),
    ),
    "labels have grown, but the planner rests": (
        outlook(LEARNING, counted_labels=200),
        fitted(rest_until=NOW + 1),
        None,
    ),
    "labels have grown, and the rest is over": (
        outlook(LEARNING, counted_labels=200),
        fitted(rest_until=NOW),
        FitModel(),
    ),
    "labels have grown during a renewal": (
        outlook(LEARNING, counted_labels=200),
        fitted(renewal=renewing(LEARNING, fits=1)),
        ContinueRenewal(),
    ),
    "a strategy that does not learn has labels": (
        outlook(counted_labels=1000),
        memory(),
        None,
    ),
    "a model is due before a renewal": (
        outlook(LEARNING, counted_labels=50, foreign=True),
        memory(LEARNING),
        FitModel(),
    ),
    # BeginRenewal
    "nothing has been renewed": (
        outlook(),
        memory(renewed=None),
        BeginRenewal(Basis(BY_ROUND, None, 0)),
    ),
    "the plan was chosen with another strategy": (
        outlook("similar"),
        memory("similar", renewed=Basis(BY_ROUND, None, 0)),
        BeginRenewal(Basis("similar", None, 0)),
    ),
    "prices have changed": (
        outlook(settings=settings(BY_ROUND, pricing=PRICING)),
        memory(settings=settings(BY_ROUND, pricing=PRICING)),
        BeginRenewal(Basis(BY_ROUND, PRICING, 0)),
    ),
    "there is a new model": (
        outlook(LEARNING, counted_labels=100),
        fitted(fits=2),
        BeginRenewal(Basis(LEARNING, None, 2)),
    ),
    "a model was fitted for another strategy before": (outlook(), memory(fits=3), None),
    "unseen pairs are another strategy's": (
        outlook(foreign=True),
        memory(),
        BeginRenewal(Basis(BY_ROUND, None, 0)),
    ),
    "a renewal is under way on another basis": (
        outlook(),
        memory(renewal=renewing("similar")),
        BeginRenewal(Basis(BY_ROUND, None, 0)),
    ),
    "a tenth more pairs than were ranked together": (
        outlook(RANKING),
        memory(RANKING, ranked=100, unranked=11),
        BeginRenewal(Basis(RANKING, None, 0)),
    ),
    "hardly more pairs than were ranked together": (
        outlook(RANKING),
        memory(RANKING, ranked=100, unranked=10),
        None,
    ),
    "many more pairs than were ranked together, but the planner rests": (
        outlook(RANKING),
        memory(RANKING, ranked=100, unranked=1000, rest_until=NOW + 1),
        None,
    ),
    "a strategy that ranks no prompts has more of them": (
        outlook(),
        memory(unranked=1000),
        None,
    ),
    # ContinueRenewal
    "a renewal is under way": (outlook(), memory(renewal=renewing()), ContinueRenewal()),
    "a renewal is under way, and the planner rests": (
        outlook(LEARNING),
        fitted(renewal=renewing(LEARNING, fits=1), rest_until=NOW + 1),
        ContinueRenewal(),
    ),
}


@pytest.mark.parametrize(("project", "remembered", "expected"), CASES.values(), ids=CASES.keys())
def test_the_most_urgent_step_comes_next(
    project: Outlook, remembered: Memory, expected: Step | None
) -> None:
    assert next_step(project, remembered, NOW) == expected


def test_the_table_has_every_step() -> None:
    assert {type(step) for _, _, step in CASES.values()} == set(get_args(Step | None))


def test_a_turn_takes_each_step_once_in_the_order_of_urgency() -> None:
    project = low(LEARNING, outgrown=True, counted_labels=50)
    done: list[type[Step]] = []
    while (step := next_step(project, Memory(), NOW, done)) is not None:
        done.append(type(step))

    assert done == [ApplySettings, RemoveOutgrown, TopUpByRound, FitModel, BeginRenewal]


def test_a_turn_that_filled_the_plan_further_ends() -> None:
    project, remembered = low(horizon=None), memory(filling=True, renewal=renewing())

    assert next_step(project, remembered, NOW, {TopUpByRound}) is None
    assert (
        next_step(project, replace(remembered, filling=False), NOW, {TopUpByRound})
        == ContinueRenewal()
    )


def test_a_strategy_that_this_version_does_not_have_is_told() -> None:
    with pytest.raises(UnknownStrategy, match="none-such"):
        next_step(outlook("none-such"), Memory(), NOW)


def test_only_collection_wide_strategies_have_to_look_at_new_prompts() -> None:
    wide = memory(COLLECTION_WIDE, unscanned=frozenset({1}))

    assert with_unscanned(wide, outlook(COLLECTION_WIDE), {2}).unscanned == {1, 2}
    assert with_unscanned(memory(), outlook(), {2}) == memory()


def test_a_model_is_forgotten_with_the_strategy_that_learned_it() -> None:
    remembered = fitted(filling=True)

    assert with_settings(remembered, settings(LEARNING, labels_per_pair=3)).fitted_labels == 100
    forgotten = with_settings(remembered, settings(BY_ROUND))
    assert (forgotten.fitted_labels, forgotten.fits, forgotten.filling) == (None, 1, True)
    assert not with_settings(remembered, settings(COLLECTION_WIDE)).filling


def test_the_planner_rests_nine_times_as_long_as_it_worked() -> None:
    once = with_rest(memory(), NOW, seconds=2)

    assert once.rest_until == NOW + 18
    assert with_rest(once, NOW + 3, seconds=1).rest_until == NOW + 27
