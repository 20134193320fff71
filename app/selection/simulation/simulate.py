"""Run every strategy on every split, in parallel processes."""

import multiprocessing
from collections import Counter
from collections.abc import Callable, Iterator, Mapping, Sequence
from concurrent.futures import ProcessPoolExecutor, as_completed
from dataclasses import dataclass
from typing import Final

import numpy as np
from threadpoolctl import threadpool_limits  # type: ignore[import-untyped]  # ships no types

from app.selection.arrays import IntArray
from app.selection.candidates import blocks_of
from app.selection.model.features import FeatureMap, FeatureSet, fit_feature_map
from app.selection.registry import STRATEGIES
from app.selection.simulation.arms import Arm, arms_of
from app.selection.simulation.measures import Measure, Trace, means_of
from app.selection.simulation.report import Report, make_report
from app.selection.simulation.run import run_arm, split_prompts
from app.selection.simulation.world import World, candidates
from app.selection.strategy import Strategy

_FIRST_BUDGET = 12.5
_LEAST_ROOM = 1.2
"""The budget before the last is smaller by this factor or more."""
_LEAST_PROMPTS = 4
NO_RULES: Final[Mapping[str, Strategy]] = {}


@dataclass(frozen=True, slots=True)
class Plan:
    """How a simulation is done."""

    strategies: Sequence[str]
    """Names in ``STRATEGIES``, or of rules that are given beside the plan."""
    splits: int
    """How many splits by prompt."""
    seed: int
    """The same seed gives the same report with any number of processes."""
    most_labels: int | None = None
    """The largest budget; None: half of the smallest pool's pairs."""
    labels_per_pair: int = 1
    """How many labels each pair gets, as far as it has votes."""

    @property
    def runs(self) -> int:
        """How many runs of an arm on a split it takes."""
        return len(arms_of(self.strategies)) * self.splits


@dataclass(frozen=True, slots=True)
class Progress:
    """What a simulation has done so far."""

    done: int
    """Arms run, each on one split."""
    total: int
    finished: str | None
    """The arm that has just been run on its last split."""
    means: Mapping[Measure, Sequence[float]]
    """Of that arm, at each budget; intervals take the other arms."""


@dataclass(frozen=True, slots=True)
class _Task:
    arm: Arm
    number: int


@dataclass(frozen=True, slots=True)
class _Setting:
    """What every task of a simulation needs."""

    world: World
    feature_maps: Mapping[FeatureSet, FeatureMap]
    budgets: tuple[int, ...]
    plan: Plan
    rules: Mapping[str, Strategy]


_settings: list[_Setting] = []
"""In a worker process: the setting it was started with. Sending it with each task would take longer
than the task."""


def budgets_of(pairs: IntArray, plan: Plan) -> tuple[int, ...]:
    """12, 25, 50, 75, 100, 150, 200, 300 … and the largest.

    Args:
        pairs: how many pairs with votes each prompt has, ``(prompts,)``.
        plan: what is to be run.

    Raises:
        ValueError: there are too few prompts to split, or too few pairs to spend on.
    """
    if len(pairs) < _LEAST_PROMPTS:
        raise ValueError(f"there are fewer than {_LEAST_PROMPTS} prompts with preferences")
    splits = [split_prompts(len(pairs), plan.seed, number) for number in range(plan.splits)]
    half = int(min(pairs[split.pool].sum() for split in splits)) // 2
    if half < 2 * _FIRST_BUDGET:
        raise ValueError(f"there are only {2 * half} pairs to spend on")
    most = half if plan.most_labels is None else min(half, plan.most_labels)
    found: list[int] = []
    size = _FIRST_BUDGET
    while size * _LEAST_ROOM < most:
        found.append(int(size))
        between = int(1.5 * size)
        if size >= 4 * _FIRST_BUDGET and between * _LEAST_ROOM < most:
            found.append(between)
        size *= 2
    return (*found, most)


def simulate(
    world: World,
    plan: Plan,
    *,
    processes: int,
    on_progress: Callable[[Progress], None] = lambda _: None,
    rules: Mapping[str, Strategy] = NO_RULES,
) -> Report:
    """Let each strategy spend on each split, and compare it with ``random``, which always runs.

    ``random`` also runs again with other draws, which shows what chance does, and with models of
    fewer features, which shows what the features bring.

    Args:
        world: the labelled file.
        plan: what to run.
        processes: how many run at a time.
        on_progress: called after each arm on each split.
        rules: by name, strategies of the plan that are not in ``STRATEGIES``.

    Raises:
        ValueError: as ``budgets_of``.
    """
    budgets = budgets_of(world.pairs, plan)
    arms = arms_of(plan.strategies)
    feature_maps = {each: feature_map_of(world, each) for each in {arm.feature_set for arm in arms}}
    setting = _Setting(world, feature_maps, budgets, plan, rules)
    tasks = [_Task(arm, number) for arm in arms for number in range(plan.splits)]
    traces: dict[_Task, Trace] = {}
    missing = Counter(task.arm.name for task in tasks)
    for task, trace in _run_all(setting, tasks, processes):
        traces[task] = trace
        missing[task.arm.name] -= 1
        if missing[task.arm.name]:
            on_progress(Progress(len(traces), len(tasks), None, {}))
        else:
            means = means_of(_of_arm(traces, task.arm, plan))
            on_progress(Progress(len(traces), len(tasks), task.arm.name, means))
    by_name = {arm.name: _of_arm(traces, arm, plan) for arm in arms}
    return make_report(by_name, budgets, len(world.prompts), plan.seed)


def _of_arm(traces: Mapping[_Task, Trace], arm: Arm, plan: Plan) -> list[Trace]:
    return [traces[_Task(arm, number)] for number in range(plan.splits)]


def _run_all(
    setting: _Setting, tasks: Sequence[_Task], processes: int
) -> Iterator[tuple[_Task, Trace]]:
    """Every task with its trace, in any order."""
    if processes == 1:
        with threadpool_limits(1):
            for task in tasks:
                yield task, _run_in(setting, task)
        return
    with ProcessPoolExecutor(
        max_workers=min(processes, len(tasks)),
        # A fork of a process with threads of torch may hang.
        mp_context=multiprocessing.get_context("spawn"),
        initializer=_begin,
        initargs=(setting,),
    ) as pool:
        running = {pool.submit(_run, task): task for task in tasks}
        for done in as_completed(running):
            yield running[done], done.result()


def feature_map_of(world: World, feature_set: FeatureSet = FeatureSet.STYLE) -> FeatureMap:
    """Features from all prompts of the file, held-out ones too, since no label is used."""
    everywhere = np.arange(len(world.prompts))
    blocks = blocks_of(candidates(world, np.zeros(len(world.prompts)), everywhere))
    return fit_feature_map(blocks, feature_set=feature_set)


def _begin(setting: _Setting) -> None:
    # There is a process for each processor, so more threads would only slow each other down.
    threadpool_limits(1)
    _settings.append(setting)


def _run(task: _Task) -> Trace:
    [setting] = _settings
    return _run_in(setting, task)


def _run_in(setting: _Setting, task: _Task) -> Trace:
    return run_arm(
        setting.world,
        setting.feature_maps[task.arm.feature_set],
        setting.rules.get(task.arm.strategy) or STRATEGIES[task.arm.strategy],
        setting.budgets,
        seed=setting.plan.seed,
        number=task.number,
        draws=task.arm.draws,
        labels_per_pair=setting.plan.labels_per_pair,
    )
