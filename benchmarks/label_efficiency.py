"""The tables of docs/label-efficiency.md, from what `annotation-budget simulate --json` wrote.

python -m benchmarks.label_efficiency REPORT.json [REPORT.json ...]
"""

import argparse
import json
from pathlib import Path
from typing import Any

SHOWN = (25, 50, 100, 200, 400, 800)


def main() -> None:
    """Print a Markdown table for each report."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else None)
    parser.add_argument("reports", type=Path, nargs="+")
    for path in parser.parse_args().reports:
        print("\n".join(table(json.loads(path.read_text(encoding="utf-8")))))
        print()


def table(report: dict[str, Any]) -> list[str]:
    """The lines of one report's table."""
    budgets = report["budgets"]
    places = [place for place, size in enumerate(budgets) if size in SHOWN or size == budgets[-1]]
    heads = [f"{budgets[place]} labels" for place in places]
    note = "" if report["informative"] else " **Uninformative: random learns nothing here.**"
    lines = [
        f"### `{report['file']}`, {report['seeds']} splits",
        "",
        *([note.strip(), ""] if note else []),
        f"| strategy | {' | '.join(heads)} | labels saved |",
        f"|---|{'---|' * (len(heads) + 1)}",
    ]
    names = ["random", *(name for name in report["strategies"] if name != "random")]
    for name in names:
        curve = report["strategies"][name]
        cells = [_cell(name, curve, place) for place in places]
        lines.append(f"| {name} | {' | '.join(cells)} | {_saved(curve)} |")
    return lines


def _cell(name: str, curve: dict[str, Any], place: int) -> str:
    accuracy, difference = curve["accuracy"][place], curve["difference"][place]
    if name == "random":
        return f"{accuracy['mean']:.3f} ({accuracy['low']:.3f} {accuracy['high']:.3f})"
    text = f"{accuracy['mean']:.3f} ({difference['low']:+.3f} {difference['high']:+.3f})"
    return f"**{text}**" if difference["low"] > 0 or difference["high"] < 0 else text


def _saved(curve: dict[str, Any]) -> str:
    saved = curve["labels_saved"]
    if saved is None:
        return "–"
    cut = ", cut off" if curve["saved_is_bounded"] else ""
    return f"{saved['mean']:.0%} ({saved['low']:.0%} {saved['high']:.0%}){cut}"


if __name__ == "__main__":
    main()
