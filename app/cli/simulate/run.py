"""Simulate strategies on a labelled file, and report how many labels each would have saved."""

import contextlib
import os
import sys
from collections.abc import Callable, Iterator
from dataclasses import asdict
from pathlib import Path
from typing import Any

import orjson

from app.cli.simulate.labelled_file import (
    FileVectors,
    LabelledFile,
    encode_file,
    read_labelled_file,
    texts_to_embed,
)
from app.cli.simulate.progress import progress
from app.cli.simulate.tables import print_report, summary_line
from app.cli.simulate.vector_file import (
    Origin,
    digest_of,
    encode_and_keep,
    load_vectors,
    write_vectors,
)
from app.embedding.encoder import Encoder
from app.errors import CommandFailed
from app.selection.registry import STRATEGIES
from app.selection.simulation.report import Report
from app.selection.simulation.simulate import Plan, Progress, budgets_of, simulate
from app.settings import Settings

_PLOT_SUFFIXES = {".png", ".svg"}
_JSON = orjson.OPT_INDENT_2 | orjson.OPT_SORT_KEYS | orjson.OPT_APPEND_NEWLINE


def run_simulation(
    source: Path,
    settings: Settings,
    *,
    strategies: str | None,
    seeds: int,
    seed: int,
    most_labels: int | None,
    labels_per_pair: int,
    processes: int | None,
    embeddings: Path | None,
    json_out: Path | None,
    plot: Path | None,
) -> None:
    """Simulate strategies on a labelled file; print, write and draw the results."""
    plan = Plan(tuple(_names(strategies)), seeds, seed, most_labels, labels_per_pair)
    draw = None if plot is None else _plotter(plot)
    for path in (json_out, plot):
        if path is not None:
            _check_writable(path)
    file = _read(source)
    try:
        budgets = budgets_of(file.pairs, plan)
        vectors = _vectors(source, file, embeddings, settings)
        world = file.world(vectors)
        with progress("Simulating", plan.runs) as advance:

            def on_progress(now: Progress) -> None:
                advance(1)
                if now.finished is not None:
                    print(summary_line(now.finished, now.means, budgets), file=sys.stderr)

            report = simulate(
                world,
                plan,
                processes=processes or os.cpu_count() or 1,
                on_progress=on_progress,
            )
    except ValueError as error:
        raise CommandFailed(f"Nothing to simulate: {error}.") from error
    print_report(f"{source.name}: {len(world.prompts)} prompts, {seeds} splits", report)
    if json_out is not None:
        with _writing(json_out):
            json_out.write_bytes(orjson.dumps(as_json(source.name, report, plan), option=_JSON))
    if plot is not None and draw is not None:
        with _writing(plot):
            draw(report, plot)


def as_json(name: str, report: Report, plan: Plan) -> dict[str, Any]:
    """The report as a JSON object; the same run gives the same bytes."""
    arms = {
        arm: {measure.value: asdict(measured) for measure, measured in its.items()}
        for arm, its in report.arms.items()
    }
    return {
        "file": name,
        "seeds": plan.splits,
        "seed": plan.seed,
        "labels_per_pair": plan.labels_per_pair,
        **asdict(report),
        "arms": arms,
        "smallest": {measure.value: times for measure, times in report.smallest.items()},
    }


def embed_labelled_file(source: Path, out: Path, settings: Settings) -> None:
    """Write the vectors of a labelled file, as `simulate --embeddings` reads them."""
    _check_writable(out)
    file = _read(source)
    encoder = _encoder(settings)
    with progress("Embedding", _texts(file)) as advance:
        vectors = encode_file(file, encoder.encode, advance)
    with _writing(out):
        origin = Origin(digest_of(source), encoder.name)
        write_vectors(out, file, vectors, encoder.encode([""])[0], origin)
    print(f"{out}: vectors of {len(file.lines)} prompts and {sum(file.sent_responses)} responses.")


def _read(source: Path) -> LabelledFile:
    file = read_labelled_file(source)
    for bad in file.rejected[:3]:
        print(f"line {bad.line} is left out: {bad.detail}", file=sys.stderr)
    return file


def _names(strategies: str | None) -> list[str]:
    if strategies is None:
        return list(STRATEGIES)
    names = [name.strip() for name in strategies.split(",") if name.strip()]
    for name in names:
        if name not in STRATEGIES:
            known = ", ".join(STRATEGIES)
            raise CommandFailed(f"No strategy is called {name}; there are {known}.")
    return names


def _vectors(
    source: Path, file: LabelledFile, embeddings: Path | None, settings: Settings
) -> FileVectors:
    if embeddings is not None:
        return load_vectors(file, embeddings)
    encoder = _encoder(settings)
    with progress("Embedding", _texts(file)) as advance:
        return encode_and_keep(source, file, encoder.encode, encoder.name, advance)


def _encoder(settings: Settings) -> Encoder:
    from app.embedding.load import load_encoder  # noqa: PLC0415 - loads torch

    return load_encoder(settings.embedding_model, settings.embedding_device)


def _texts(file: LabelledFile) -> int:
    return sum(len(texts_to_embed(line.prompt)) for line in file.lines)


def _check_writable(path: Path) -> None:
    """Tell before the work begins if there is no folder for a result."""
    if not path.parent.is_dir():
        raise CommandFailed(f"{path} cannot be written: there is no folder {path.parent}.")


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
