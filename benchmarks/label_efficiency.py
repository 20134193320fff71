"""Run the simulations of docs/label-efficiency.md, and write their tables into it.

    python -m benchmarks.label_efficiency ../shared/data [--seeds 20] [--only PATTERN]

Every file with its strategies, then worlds made of the file with the most responses a prompt
(``benchmarks.label_worlds``). ``--vectors DIR`` takes vectors from DIR/FILE.npz, as `simulate
--embeddings` does, and embeds what is not there. Reports are kept in ``--reports``: a file that is
there is not run again.
"""

import argparse
import json
import os
import re
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import orjson

from app.cli.simulate.labelled_file import encode_file, load_vectors, read_labelled_file
from app.cli.simulate.run import as_json
from app.embedding.load import load_encoder
from app.selection.simulation.simulate import simulate
from app.selection.simulation.world import World
from benchmarks.label_worlds import in_sets, planted

SHOWN = (25, 50, 100, 200, 400, 800, 1600)
FIXED = ("dissimilar", "dissimilar-typical", "similar", "centroid")
LEARNING = ("uncertain", "bald-coverage", "gap", "optimistic", "thompson")
SOURCE = "multi-qlora-vicuna80-gpt4judge"
FILES = {
    "multi-cragc25": ("auto", *FIXED),
    "multi-pandalm": ("auto", *FIXED),
    "multi-oasst-en100": ("auto", *FIXED),
    SOURCE: ("auto", *FIXED),
    "multi-qafeedback-dev": ("auto", "dissimilar", "dissimilar-typical"),
    "pairs-llmbar": ("auto", "dissimilar"),
    "hh-harmless-pairs": ("auto", "dissimilar", "dissimilar-global"),
}
SETS: dict[str, Callable[[World], World]] = {
    "qlora in sets of 8": lambda world: in_sets(world, 8),
    "qlora in sets of 8, without outliers": lambda world: in_sets(world, 8, outliers=False),
    "sets of 8, planted preference": lambda world: planted(
        in_sets(world, 8, outliers=False), length=0.5, typicality=0.3
    ),
    "qlora in sets of 16": lambda world: in_sets(world, 16),
    "qlora in sets of 4": lambda world: in_sets(world, 4),
    "qlora in sets of 33": lambda world: in_sets(world, 33),
}
LEARNT_ON = tuple(FILES)
OF_SETS = ("auto", "dissimilar", "dissimilar-typical")


def main() -> None:
    """Run what has no report yet, and rewrite the page."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else None)
    parser.add_argument("data", type=Path)
    parser.add_argument("--seeds", type=int, default=20)
    parser.add_argument("--processes", type=int, default=os.cpu_count() or 1)
    parser.add_argument("--only", default="")
    parser.add_argument("--vectors", type=Path)
    parser.add_argument("--reports", type=Path, default=Path("build/label-efficiency"))
    parser.add_argument("--page", type=Path, default=Path("docs/label-efficiency.md"))
    asked = parser.parse_args()
    asked.reports.mkdir(parents=True, exist_ok=True)
    reports = []
    for name, strategies, world in _worlds(asked.data, asked.vectors):
        kept = asked.reports / f"{name.replace(', ', '-').replace(' ', '-')}.json"
        if not kept.exists() and re.search(asked.only, name):
            report = simulate(
                world(),
                strategies,
                splits=asked.seeds,
                seed=0,
                processes=asked.processes,
                on_progress=lambda: None,
            )
            found = as_json(Path(name), report, asked.seeds, 0)
            kept.write_bytes(orjson.dumps(found))
            print("\n".join([f"{name}: done", *table(json.loads(kept.read_bytes()))]), flush=True)
        if kept.exists():
            reports.append(json.loads(kept.read_bytes()))
    page = asked.page.read_text(encoding="utf-8")
    page = _replaced(page, "summary", summary(reports))
    page = _replaced(page, "tables", [line for each in reports for line in [*table(each), ""]])
    asked.page.write_text(page, encoding="utf-8")


def _worlds(
    data: Path, vectors: Path | None
) -> Iterator[tuple[str, tuple[str, ...], Callable[[], World]]]:
    for name, strategies in FILES.items():
        yield name, strategies, lambda name=name: _world(data, name, vectors)  # type: ignore[misc]
    for name, make in SETS.items():
        yield name, OF_SETS, lambda make=make: make(_world(data, SOURCE, vectors))  # type: ignore[misc]
    for name in LEARNT_ON:
        title = f"{name}, the other strategies that learn"
        yield title, ("auto", *LEARNING), lambda name=name: _world(data, name, vectors)  # type: ignore[misc]


def _world(data: Path, name: str, vectors: Path | None) -> World:
    file = read_labelled_file(data / f"{name}.jsonl.gz")
    stored = None if vectors is None else vectors / f"{name}.npz"
    if stored is not None and stored.exists():
        return file.world(load_vectors(file, stored))
    return file.world(encode_file(file, load_encoder(None, None).encode, lambda _: None))


def _replaced(page: str, part: str, lines: list[str]) -> str:
    begin, end = f"<!-- {part}: begin -->", f"<!-- {part}: end -->"
    body = "\n".join([begin, "", *lines, "", end]).replace("\n\n\n", "\n\n")
    found, count = re.subn(f"{begin}.*?{end}", lambda _: body, page, flags=re.DOTALL)
    if count != 1:
        raise SystemExit(f"the page has no part between {begin} and {end}")
    return found


def summary(reports: list[dict[str, Any]]) -> list[str]:
    """A line a report: how ``auto`` does against ``random``, and against the best fixed rule."""
    heads = (
        "data",
        "random: 50 labels, half the pool",
        "auto − random, worst from 50 on",
        "best other rule − auto, most from 50 on",
        "labels saved",
        "in all",
    )
    lines = [f"| {' | '.join(heads)} |", "|---|---|---|---|---|---|"]
    for report in reports:
        curves = report["strategies"]
        auto, places = curves["auto"], _from_fifty(report)
        worst = min(places, key=lambda place: auto["difference"][place]["mean"])
        others = {name: curve for name, curve in curves.items() if name not in ("auto", "random")}
        ahead, name, at = max(
            (curve["accuracy"][place]["mean"] - auto["accuracy"][place]["mean"], name, place)
            for name, curve in others.items()
            for place in places
        )
        random = curves["random"]["accuracy"]
        difference = auto["difference"][worst]
        lines.append(
            f"| {report['file']} | {random[places[0]]['mean']:.3f}, {random[-1]['mean']:.3f} |"
            f" {difference['mean']:+.3f} ({difference['low']:+.3f} {difference['high']:+.3f})"
            f" at {report['budgets'][worst]} |"
            f" {ahead:+.3f} ({name} at {report['budgets'][at]}) |"
            f" {_saved(auto, 'labels_saved', 'saved_is_bounded')} |"
            f" {_saved(auto, 'saved_in_all', 'saved_in_all_is_bounded')} |"
        )
    return lines


def _from_fifty(report: dict[str, Any]) -> list[int]:
    return [place for place, size in enumerate(report["budgets"]) if size >= 50]


def table(report: dict[str, Any]) -> list[str]:
    """The lines of one report's table."""
    budgets = report["budgets"]
    places = [place for place, size in enumerate(budgets) if size in SHOWN or size == budgets[-1]]
    heads = [f"{budgets[place]} labels" for place in places]
    note = "" if report["informative"] else " **Uninformative: random learns nothing here.**"
    plain = [_interval(report["plain"][place]) for place in places]
    lines = [
        f"### {report['file']}, {report['seeds']} splits",
        "",
        *([note.strip(), ""] if note else []),
        f"| strategy | {' | '.join(heads)} | labels saved | in all |",
        f"|---|{'---|' * (len(heads) + 2)}",
        f"| random, vectors alone | {' | '.join(plain)} | | – |",
    ]
    names = ["random", *(name for name in report["strategies"] if name != "random")]
    for name in names:
        curve = report["strategies"][name]
        cells = [_cell(name, curve, place) for place in places]
        saved = _saved(curve, "labels_saved", "saved_is_bounded")
        in_all = _saved(curve, "saved_in_all", "saved_in_all_is_bounded")
        lines.append(f"| {name} | {' | '.join(cells)} | {saved} | {in_all} |")
    return lines


def _cell(name: str, curve: dict[str, Any], place: int) -> str:
    accuracy, difference = curve["accuracy"][place], curve["difference"][place]
    if name == "random":
        return _interval(accuracy)
    text = f"{accuracy['mean']:.3f} ({difference['low']:+.3f} {difference['high']:+.3f})"
    return f"**{text}**" if difference["low"] > 0 or difference["high"] < 0 else text


def _interval(estimate: dict[str, float]) -> str:
    return f"{estimate['mean']:.3f} ({estimate['low']:.3f} {estimate['high']:.3f})"


def _saved(curve: dict[str, Any], what: str, bounded: str) -> str:
    saved = curve[what]
    if saved is None:
        return "–"
    cut = ", cut off" if curve[bounded] else ""
    return f"{saved['mean']:.0%} ({saved['low']:.0%} {saved['high']:.0%}){cut}"


if __name__ == "__main__":
    main()
