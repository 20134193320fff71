"""The tables that `simulate` prints."""

import sys
from collections.abc import Mapping, Sequence

from rich.console import Console
from rich.table import Table

from app.selection.simulation.arms import AGAIN, BASELINE
from app.selection.simulation.bootstrap import Estimate
from app.selection.simulation.measures import COMPARED, Measure
from app.selection.simulation.report import MeasuredArm, Report, Times

_TABLE_BUDGETS = 6
_WIDTH = 160
_NAMES = {
    Measure.ACCURACY: "accuracy",
    Measure.LOG_LOSS: "log-loss",
    Measure.GOLD: "gold of the pick",
}


def summary_line(arm: str, means: Mapping[Measure, Sequence[float]], budgets: Sequence[int]) -> str:
    """One line on an arm that has been run, without intervals."""
    shown = shown_budgets(budgets)
    labels = ", ".join(str(budgets[place]) for place in shown)
    figures = "; ".join(
        f"{_NAMES[measure]} {' '.join(f'{means[measure][place]:.3f}' for place in shown)}"
        for measure in COMPARED
        if measure in means
    )
    return f"{arm}, at {labels} labels: {figures}"


def print_report(title: str, report: Report) -> None:
    """How many times the labels `random` needs, and accuracy and log-loss by budget."""
    console = Console(width=None if sys.stdout.isatty() else _WIDTH)
    measures = [each for each in COMPARED if each in report.arms[BASELINE]]
    times = Table(title=f"{title}\nHow many times the labels `random` needs for the same value")
    times.add_column("arm", no_wrap=True)
    for measure in measures:
        times.add_column(_NAMES[measure], justify="right")
    times.add_column("in all, by log-loss", justify="right")
    for name, arm in report.arms.items():
        cells = [_times(arm[measure].times) for measure in measures]
        times.add_row(name, *cells, _times(arm[Measure.LOG_LOSS].times_in_all))
    console.print(times)
    smallest = ", ".join(f"{report.smallest[each]:.2f} by {_NAMES[each]}" for each in measures)
    print(
        "1: as many labels as `random`; in brackets the 95% interval. In all: compared with"
        f"\n`random` and a model of the vectors alone. `{AGAIN}` shows chance: effects below"
        f"\n{smallest} cannot be told from it here."
        "\nCut off: the curves lie further apart than the figure says."
    )
    for measure in (Measure.ACCURACY, Measure.LOG_LOSS):
        console.print(_by_budget(report, measure))
    print(
        "In brackets the interval of the difference from `random`, for all budgets at once; * marks"
        " one that leaves zero out."
    )
    if not report.informative:
        print("UNINFORMATIVE: random learns nothing from these labels; no comparison means much.")


def _by_budget(report: Report, measure: Measure) -> Table:
    table = Table(title=_NAMES[measure])
    table.add_column("arm", no_wrap=True)
    shown = shown_budgets(report.budgets)
    for place in shown:
        table.add_column(f"{report.budgets[place]} labels", justify="right")
    for name, arm in report.arms.items():
        table.add_row(name, *(_value(arm[measure], place, name) for place in shown))
    return table


def shown_budgets(budgets: Sequence[int]) -> list[int]:
    """Indices of at most six of the doubling budgets; the last is always among them."""
    doubling = [
        place for place, size in enumerate(budgets) if size % 25 == 0 or size == budgets[-1]
    ]
    step = max(1, -(-len(doubling) // _TABLE_BUDGETS))
    return sorted(doubling[::-1][::step])


def _value(arm: MeasuredArm, place: int, name: str) -> str:
    value = arm.values[place]
    if name == BASELINE:
        return f"{value.mean:.3f} ({value.low:.3f} {value.high:.3f})"
    difference = arm.differences[place]
    return f"{value.mean:.3f}{_star(difference)} ({difference.low:+.3f} {difference.high:+.3f})"


def _star(difference: Estimate) -> str:
    return "*" if difference.low > 0 or difference.high < 0 else ""


def _times(times: Times) -> str:
    bound = " (cut off)" if times.is_cut_off else ""
    its = times.estimate
    return f"{its.mean:.2f} ({its.low:.2f} {its.high:.2f}){bound}"
