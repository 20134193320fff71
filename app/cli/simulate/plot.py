"""Draw the curves of a simulation with matplotlib (the extra `simulate`)."""

from pathlib import Path

import matplotlib as mpl
from matplotlib.figure import Figure
from matplotlib.ticker import NullLocator

from app.selection.simulation.measures import Measure
from app.selection.simulation.report import Report

_DRAWN = {Measure.ACCURACY: "accuracy on held-out pairs", Measure.LOG_LOSS: "log-loss, nats a pair"}


def draw_report(report: Report, path: Path) -> None:
    """Draw accuracy and log-loss over labels, with a line and its 95% band for each arm.

    The path's suffix chooses PNG or SVG. The same report gives the same bytes.
    """
    figure = Figure(figsize=(13, 6), layout="constrained")
    for axes, (measure, title) in zip(figure.subplots(1, 2), _DRAWN.items(), strict=True):
        for name, arm in report.arms.items():
            values = arm[measure].values
            [line] = axes.plot(
                report.budgets,
                [each.mean for each in values],
                marker="o",
                markersize=3,
                label=name,
                linestyle="--" if name.startswith("random,") else "-",
            )
            axes.fill_between(
                report.budgets,
                [each.low for each in values],
                [each.high for each in values],
                color=line.get_color(),
                alpha=0.08,
            )
        axes.set_xscale("log")
        axes.set_xticks(report.budgets, [str(size) for size in report.budgets], rotation=45)
        axes.xaxis.set_minor_locator(NullLocator())
        axes.set_xlabel("labels")
        axes.set_ylabel(title)
        axes.grid(alpha=0.3)
    figure.axes[0].legend()
    with mpl.rc_context({"svg.hashsalt": "annotation-budget"}):
        figure.savefig(path, dpi=150, metadata={"Date": None} if path.suffix == ".svg" else None)
