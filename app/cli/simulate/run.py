"""Simulate strategies on a labelled file, and report how many labels each would have saved."""

import contextlib
import os
import sys
from collections.abc import Callable, Iterator, Sequence
from dataclasses import asdict
from pathlib import Path
from typing import Any

import orjson
from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeElapsedColumn
from rich.table import Table

from app.cli.simulate.labelled_file import (
    FileVectors,
    LabelledFile,
    encode_file,
    load_vectors,
    read_labelled_file,
    texts_to_embed,
)
from app.errors import CommandFailed
from app.selection.registry import STRATEGIES
from app.selection.simulation.curve import BASELINE, Curve, Estimate, Report
from app.selection.simulation.simulate import simulate
from app.settings import Settings

_PLOT_SUFFIXES = {".png", ".svg"}
_TABLE_BUDGETS = 6
_JSON = orjson.OPT_INDENT_2 | orjson.OPT_SORT_KEYS | orjson.OPT_APPEND_NEWLINE


def run_simulation(
    source: Path,
    settings: Settings,
    *,
    strategies: str | None,
    seeds: int,
    seed: int,
    processes: int | None,
    embeddings: Path | None,
    json_out: Path | None,
    plot: Path | None,
) -> None:
    """Simulate strategies on a labelled file; print, write and draw the results."""
    names = _names(strategies)
    draw = None if plot is None else _plotter(plot)
    file = read_labelled_file(source)
    for bad in file.rejected[:3]:
        print(f"line {bad.line} is left out: {bad.detail}", file=sys.stderr)
    vectors = _vectors(file, embeddings, settings)
    world = file.world(vectors)
    total = seeds * len({BASELINE, *names})
    try:
        with _progress("Simulating", total) as advance:
            report = simulate(
                world,
                names,
                splits=seeds,
                seed=seed,
                processes=processes or os.cpu_count() or 1,
                on_progress=lambda: advance(1),
            )
    except ValueError as error:
        raise CommandFailed(f"Nothing to simulate: {error}.") from error
    _print_table(source, report, len(world.prompts), seeds)
    if json_out is not None:
        with _writing(json_out):
            json_out.write_bytes(orjson.dumps(as_json(source, report, seeds, seed), option=_JSON))
    if plot is not None and draw is not None:
        with _writing(plot):
            draw(report, plot)


def as_json(source: Path, report: Report, seeds: int, seed: int) -> dict[str, Any]:
    """The report as a JSON object; the same run gives the same bytes."""
    return {
        "file": source.name,
        "seeds": seeds,
        "seed": seed,
        "budgets": report.budgets,
        "informative": report.informative,
        "plain": [asdict(each) for each in report.plain],
        "strategies": {name: asdict(curve) for name, curve in report.curves.items()},
    }


def _names(strategies: str | None) -> list[str]:
    if strategies is None:
        return list(STRATEGIES)
    names = [name.strip() for name in strategies.split(",") if name.strip()]
    for name in names:
        if name not in STRATEGIES:
            known = ", ".join(STRATEGIES)
            raise CommandFailed(f"No strategy is called {name}; there are {known}.")
    return names


def _vectors(file: LabelledFile, embeddings: Path | None, settings: Settings) -> FileVectors:
    if embeddings is not None:
        return load_vectors(file, embeddings)
    from app.embedding.load import load_encoder  # noqa: PLC0415 - loads torch

    texts = sum(len(texts_to_embed(line.prompt)) for line in file.lines)
    with _progress("Embedding", texts) as advance:
        encoder = load_encoder(settings.embedding_model, settings.embedding_device)
        return encode_file(file, encoder.encode, advance)


@contextlib.contextmanager
def _progress(what: str, total: int) -> Iterator[Callable[[int], None]]:
    """A progress bar on standard error if that is a terminal, else nothing."""
    with Progress(
        TextColumn("{task.description}"),
        BarColumn(),
        MofNCompleteColumn(),
        TimeElapsedColumn(),
        console=Console(stderr=True),
        transient=True,
        disable=not sys.stderr.isatty(),
    ) as progress:
        task = progress.add_task(what, total=total)
        yield lambda count: progress.advance(task, count)


def _print_table(source: Path, report: Report, prompts: int, seeds: int) -> None:
    shown = _shown(report.budgets)
    table = Table(title=f"{source.name}: {prompts} prompts, {seeds} splits")
    table.add_column("strategy", no_wrap=True)
    for place in shown:
        table.add_column(f"{report.budgets[place]} labels", justify="right")
    table.add_column("labels saved", justify="right")
    table.add_column("in all", justify="right")
    for name, curve in report.curves.items():
        cells = [_accuracy(curve, place, name) for place in shown]
        in_all = _saved(curve.saved_in_all, curve.saved_in_all_is_bounded)
        table.add_row(name, *cells, _saved(curve.labels_saved, curve.saved_is_bounded), in_all)
    console = Console(width=None if sys.stdout.isatty() else 160)
    console.print(table)
    print(
        "Accuracy on held-out pairs; in brackets the 95% interval of the difference from random;"
        "\n* marks one that leaves zero out. Labels saved: 1 - n / n_random at equal accuracy;"
        "\nin all: against random with a model of the vectors alone."
    )
    if not report.informative:
        print("UNINFORMATIVE: random learns nothing from these labels; no comparison means much.")


def _shown(budgets: Sequence[int]) -> list[int]:
    """Indices of at most six of the doubling budgets; the last is always among them."""
    doubling = [
        place for place, size in enumerate(budgets) if size % 25 == 0 or size == budgets[-1]
    ]
    step = max(1, -(-len(doubling) // _TABLE_BUDGETS))
    return sorted(doubling[::-1][::step])


def _accuracy(curve: Curve, place: int, name: str) -> str:
    mean = f"{curve.accuracy[place].mean:.3f}"
    if name == BASELINE:
        low, high = curve.accuracy[place].low, curve.accuracy[place].high
        return f"{mean} ({low:.3f} {high:.3f})"
    difference = curve.difference[place]
    star = "*" if difference.low > 0 or difference.high < 0 else ""
    return f"{mean}{star} ({difference.low:+.3f} {difference.high:+.3f})"


def _saved(saved: Estimate | None, is_bounded: bool) -> str:
    if saved is None:
        return "-"
    bound = " (cut off)" if is_bounded else ""
    return f"{saved.mean:.0%} ({saved.low:.0%} {saved.high:.0%}){bound}"


@contextlib.contextmanager
def _writing(path: Path) -> Iterator[None]:
    try:
        yield
    except OSError as error:
        raise CommandFailed(f"{path} cannot be written: {error.strerror}.") from error


def _plotter(path: Path) -> Callable[[Report, Path], None]:
    """What draws a report to ``path``; fails before the work begins if it cannot."""
    if path.suffix.lower() not in _PLOT_SUFFIXES:
        raise CommandFailed(f"--plot: {path.name} must end in .png or .svg")
    try:
        from app.cli.simulate.plot import draw_report  # noqa: PLC0415 - an extra
    except ImportError as error:
        raise CommandFailed(
            "--plot needs matplotlib: pip install 'annotation-budget[simulate]'"
        ) from error
    return draw_report
