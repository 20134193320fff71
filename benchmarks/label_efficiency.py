"""Run the simulations of docs/label-efficiency.md, and write their tables into it.

    python -m benchmarks.label_efficiency ../shared/data [--seeds 80] [--only PATTERN]

Every file, then worlds made of the file with the most responses a prompt, then files whose answers
are drawn anew from the model itself (``benchmarks.label_worlds``). Vectors are kept in
``--vectors``, reports in ``--reports``: what is there is not computed again.
"""

import argparse
import json
import os
import re
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any

import orjson

from app.cli.simulate.labelled_file import encode_file, read_labelled_file
from app.cli.simulate.run import as_json
from app.cli.simulate.vector_file import Origin, digest_of, read_kept, write_vectors
from app.embedding.load import load_encoder
from app.selection.simulation.arms import AGAIN, BASELINE, PLAIN, WITHOUT_STYLE
from app.selection.simulation.simulate import Plan, simulate
from app.selection.simulation.world import World
from benchmarks.label_worlds import in_sets, planted

SHOWN = (25, 50, 100, 200, 400, 800)
MOST_LABELS = 800
SOURCE = "multi-qlora-vicuna80-gpt4judge"
RULES = ("auto", "dissimilar", "dissimilar-typical", "centroid")
FILES = {
    "multi-cragc25": RULES,
    "multi-pandalm": RULES,
    "multi-oasst-en100": RULES,
    SOURCE: RULES,
    "multi-qafeedback-dev": ("auto", "dissimilar"),
    "pairs-llmbar": ("auto",),
    "hh-harmless-pairs": ("auto", "dissimilar-global"),
}
SETS: dict[str, Callable[[World], World]] = {
    "qlora in sets of 4": lambda world: in_sets(world, 4),
    "qlora in sets of 8": lambda world: in_sets(world, 8),
    "qlora in sets of 8, without outliers": lambda world: in_sets(world, 8, outliers=False),
    "qlora in sets of 16": lambda world: in_sets(world, 16),
}
PLANTED = ("multi-cragc25", "multi-pandalm", "multi-oasst-en100", "multi-qafeedback-dev")


@dataclass(frozen=True, slots=True)
class Case:
    """A world, and the strategies that are tried on it."""

    name: str
    strategies: tuple[str, ...]
    world: Callable[[], World]


def main() -> None:
    """Run what has no report yet, and rewrite the page."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else None)
    parser.add_argument("data", type=Path)
    parser.add_argument("--seeds", type=int, default=80)
    parser.add_argument("--processes", type=int, default=os.cpu_count() or 1)
    parser.add_argument("--only", default="")
    parser.add_argument("--vectors", type=Path, default=Path("build/vectors"))
    parser.add_argument("--reports", type=Path, default=Path("build/label-efficiency"))
    parser.add_argument("--page", type=Path, default=Path("docs/label-efficiency.md"))
    asked = parser.parse_args()
    asked.reports.mkdir(parents=True, exist_ok=True)
    asked.vectors.mkdir(parents=True, exist_ok=True)
    reports = []
    for case in _cases(asked.data, asked.vectors):
        kept = asked.reports / f"{re.sub('[ ,]+', '-', case.name)}.json"
        if not kept.exists() and re.search(asked.only, case.name):
            plan = Plan(case.strategies, asked.seeds, 0, MOST_LABELS)
            report = simulate(case.world(), plan, processes=asked.processes)
            kept.write_bytes(orjson.dumps(as_json(case.name, report, plan)))
            print("\n".join(table(json.loads(kept.read_bytes()))), flush=True)
        if kept.exists():
            reports.append(json.loads(kept.read_bytes()))
    page = asked.page.read_text(encoding="utf-8")
    page = _replaced(page, "summary", summary(reports))
    page = _replaced(page, "tables", [line for each in reports for line in [*table(each), ""]])
    asked.page.write_text(page, encoding="utf-8")


def _cases(data: Path, vectors: Path) -> Iterator[Case]:
    def read(name: str, make: Callable[[World], World] = lambda world: world) -> World:
        return make(read_world(data / f"{name}.jsonl.gz", vectors))

    for name, strategies in FILES.items():
        yield Case(name, strategies, partial(read, name))
    for name, make in SETS.items():
        yield Case(name, RULES[:2], partial(read, SOURCE, make))
    for name in PLANTED:
        yield Case(f"{name}, planted", RULES[:2], partial(read, name, planted))


def read_world(path: Path, vectors: Path) -> World:
    """A labelled file with its vectors, which are kept in the folder ``vectors``."""
    file = read_labelled_file(path)
    encoder = load_encoder(None, None)
    origin = Origin(digest_of(path), encoder.name)
    kept = vectors / f"{path.name}.npz"
    found = read_kept(kept, file, origin)
    if found is None:
        found = encode_file(file, encoder.encode, lambda _: None)
        write_vectors(kept, file, found, encoder.encode([""])[0], origin)
    return file.world(found)


def _replaced(page: str, part: str, lines: list[str]) -> str:
    begin, end = f"<!-- {part}: begin -->", f"<!-- {part}: end -->"
    body = "\n".join([begin, "", *lines, "", end]).replace("\n\n\n", "\n\n")
    found, count = re.subn(f"{begin}.*?{end}", lambda _: body, page, flags=re.DOTALL)
    if count != 1:
        raise SystemExit(f"the page has no part between {begin} and {end}")
    return found


def summary(reports: list[dict[str, Any]]) -> list[str]:
    """A line a report: what the model saves, what ``auto`` saves, and what could be seen at all."""
    heads = (
        "data",
        "splits",
        "model, by accuracy",
        "model, by log-loss",
        "`auto`, by accuracy",
        "`auto`, by log-loss",
        "smallest effect (accuracy, log-loss)",
    )
    lines = [f"| {' | '.join(heads)} |", f"|{'---|' * len(heads)}"]
    for report in reports:
        before, auto = report["arms"][WITHOUT_STYLE], report["arms"]["auto"]
        smallest = report["smallest"]
        lines.append(
            f"| {report['file']} | {report['seeds']} |"
            f" {_times(before['accuracy']['times'], inverse=True)} |"
            f" {_times(before['log_loss']['times'], inverse=True)} |"
            f" {_times(auto['accuracy']['times'])} | {_times(auto['log_loss']['times'])} |"
            f" {smallest['accuracy']:.1f}, {smallest['log_loss']:.1f} |"
        )
    return lines


def table(report: dict[str, Any]) -> list[str]:
    """The lines of one report's table."""
    budgets = report["budgets"]
    places = [place for place, size in enumerate(budgets) if size in SHOWN or size == budgets[-1]]
    heads = [f"{budgets[place]} labels" for place in places]
    note = "" if report["informative"] else "**Uninformative: random learns nothing here.**"
    lines = [
        f"### {report['file']}, {report['seeds']} splits",
        "",
        *([note, ""] if note else []),
        f"| arm | {' | '.join(heads)} | times, accuracy | times, log-loss | times, gold |",
        f"|---|{'---|' * (len(heads) + 3)}",
    ]
    for name in _in_order(report["arms"]):
        arm = report["arms"][name]
        cells = [
            f"{_cell(name, arm['accuracy'], place)} / {_cell(name, arm['log_loss'], place)}"
            for place in places
        ]
        times = [
            _times(arm[measure]["times"]) if measure in arm and name != BASELINE else "–"
            for measure in ("accuracy", "log_loss", "gold")
        ]
        lines.append(f"| {name} | {' | '.join([*cells, *times])} |")
    told = []
    for name in (WITHOUT_STYLE, BASELINE):
        timidity = report["timidity"][name]
        means = [timidity[place]["mean"] for place in places]
        told.append(f"{name} {' '.join(f'{mean:+.3f}' for mean in means)}")
    return [*lines, "", f"Timidity: {'; '.join(told)}."]


def _in_order(arms: dict[str, Any]) -> list[str]:
    first = [PLAIN, WITHOUT_STYLE, BASELINE, AGAIN]
    return [*first, *(name for name in arms if name not in first)]


def _cell(name: str, arm: dict[str, Any], place: int) -> str:
    value, difference = arm["values"][place]["mean"], arm["differences"][place]
    is_beyond = name != BASELINE and (difference["low"] > 0 or difference["high"] < 0)
    return f"**{value:.3f}**" if is_beyond else f"{value:.3f}"


def _times(times: dict[str, Any], *, inverse: bool = False) -> str:
    its = times["estimate"]
    mean, low, high = its["mean"], its["low"], its["high"]
    if inverse:
        mean, low, high = 1 / mean, 1 / high, 1 / low
    cut = ", cut off" if times["is_cut_off"] else ""
    text = f"{mean:.2f} ({low:.2f} {high:.2f}){cut}"
    return f"**{text}**" if low > 1 or high < 1 else text


if __name__ == "__main__":
    main()
