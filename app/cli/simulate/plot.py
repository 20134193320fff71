"""Draw the curves of a simulation with matplotlib (the extra `simulate`)."""

from pathlib import Path

import matplotlib as mpl
from matplotlib.figure import Figure
from matplotlib.ticker import NullLocator

from app.selection.simulation.curve import Report


def draw_report(report: Report, path: Path) -> None:
    """Draw accuracy over labels, with a line and its 95% band for each strategy.

    The path's suffix chooses PNG or SVG. The same report gives the same bytes.
    """
    figure = Figure(figsize=(9, 6), layout="constrained")
    axes = figure.add_subplot()
    for name, curve in report.curves.items():
        means = [each.mean for each in curve.accuracy]
        [line] = axes.plot(report.budgets, means, marker="o", markersize=3, label=name)
        axes.fill_between(
            report.budgets,
            [each.low for each in curve.accuracy],
            [each.high for each in curve.accuracy],
            color=line.get_color(),
            alpha=0.08,
        )
    axes.set_xscale("log")
    axes.set_xticks(report.budgets, [str(size) for size in report.budgets])
    axes.xaxis.set_minor_locator(NullLocator())
    axes.set_xlabel("labels")
    axes.set_ylabel("accuracy on held-out pairs")
    axes.grid(alpha=0.3)
    axes.legend()
    with mpl.rc_context({"svg.hashsalt": "annotation-budget"}):
        figure.savefig(path, dpi=150, metadata={"Date": None} if path.suffix == ".svg" else None)
