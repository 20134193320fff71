"""Run every strategy on every split, in parallel processes."""

import multiprocessing
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ProcessPoolExecutor, as_completed
from dataclasses import dataclass

import numpy as np
from threadpoolctl import threadpool_limits  # type: ignore[import-untyped]  # ships no types

from app.selection.candidates import blocks_of
from app.selection.model.features import FeatureMap, fit_feature_map
from app.selection.registry import STRATEGIES
from app.selection.simulation.curve import BASELINE, Report, make_report
from app.selection.simulation.run import Trace, run_arm, split_world
from app.selection.simulation.world import World, candidates

_FIRST_BUDGET = 12.5
_LEAST_ROOM = 1.2
"""The last budget is half the pool; the one before it is smaller by this factor or more."""


@dataclass(frozen=True, slots=True)
class _Task:
    strategy: str
    number: int
    plain: bool = False
    """With a model without side features."""


@dataclass(frozen=True, slots=True)
class _Setting:
    """What every task of a simulation needs."""

    world: World
    feature_map: FeatureMap
    plain_feature_map: FeatureMap
    budgets: tuple[int, ...]
    seed: int


_settings: list[_Setting] = []
"""In a worker process: the setting it was started with. Sending it with each task would take longer
than the task."""


def simulate(
    world: World,
    strategies: Sequence[str],
    *,
    splits: int,
    seed: int,
    processes: int,
    on_progress: Callable[[], None],
) -> Report:
    """Let each strategy spend on each split, and compare it with ``random``, which always runs.

    ``random`` runs once more with a model without side features, to show what those bring.

    Args:
        world: the labelled file.
        strategies: names in ``STRATEGIES``.
        splits: how many splits by prompt.
        seed: the same seed gives the same report with any number of processes.
        processes: how many run at a time.
        on_progress: called after each strategy on each split.

    Raises:
        ValueError: the file has too few prompts to split, or too few pairs to spend on.
    """
    if len(world.prompts) < 4:
        raise ValueError("there are fewer than 4 prompts with preferences")
    names = list(dict.fromkeys([BASELINE, *strategies]))
    budgets = budgets_of(world, seed, splits)
    maps = feature_map_of(world), feature_map_of(world, with_side_features=False)
    setting = _Setting(world, *maps, budgets, seed)
    plain = [_Task(BASELINE, number, plain=True) for number in range(splits)]
    tasks = [*plain, *(_Task(name, number) for number in range(splits) for name in names)]
    traces: dict[_Task, Trace] = {}
    for task, trace in _run_all(setting, tasks, processes):
        traces[task] = trace
        if not task.plain:
            on_progress()
    by_name = {name: [traces[_Task(name, number)] for number in range(splits)] for name in names}
    plain_traces = [traces[task] for task in plain]
    return make_report(by_name, plain_traces, budgets, len(world.prompts), seed)


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


def budgets_of(world: World, seed: int, splits: int) -> tuple[int, ...]:
    """12, 25, 50, 75, 100, 150, 200, 300 … and half the pairs of the smallest pool.

    Raises:
        ValueError: the smallest pool has fewer than 50 pairs.
    """
    pairs = np.array([int(prompt.asked.sum()) for prompt in world.prompts])
    pools = [pairs[split_world(world, seed, number).pool].sum() for number in range(splits)]
    half = int(min(pools)) // 2
    if half < 2 * _FIRST_BUDGET:
        raise ValueError(f"there are only {2 * half} pairs to spend on")
    found: list[int] = []
    size = _FIRST_BUDGET
    while size * _LEAST_ROOM < half:
        found.append(int(size))
        between = int(1.5 * size)
        if size >= 4 * _FIRST_BUDGET and between * _LEAST_ROOM < half:
            found.append(between)
        size *= 2
    return (*found, half)


def feature_map_of(world: World, *, with_side_features: bool = True) -> FeatureMap:
    """Features from all prompts of the file, held-out ones too, since no label is used."""
    everywhere = np.arange(len(world.prompts))
    blocks = blocks_of(candidates(world, np.zeros(len(world.prompts)), everywhere))
    return fit_feature_map(blocks, with_side_features=with_side_features)


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
        setting.plain_feature_map if task.plain else setting.feature_map,
        STRATEGIES[task.strategy],
        setting.budgets,
        seed=setting.seed,
        number=task.number,
    )
