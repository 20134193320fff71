"""Send a file of prompts to a running service."""

from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any, Final

import httpx
import orjson

from app.cli.transfer.service import Query, progress, raise_for_refusal
from app.errors import CommandFailed
from app.imports.files.sources import JsonSource, json_source, opened
from app.settings import MAX_REJECTED_LINES_TOLD

_LABELS_TOLD: Final = 10


def import_file(source: Path, client: httpx.Client, query: Query) -> bool:
    """Send ``source`` (``-``: standard input) piece by piece, and print the counts.

    Returns whether any line was rejected, here or by the service.
    """
    with opened(source) as (file, size), progress() as bar:
        task = bar.add_task(f"Sending {source}", total=size)
        read = json_source(file, source)

        def chunks() -> Iterator[bytes]:
            sent = 0
            for chunk in read:
                yield chunk
                sent += len(chunk)
                bar.update(task, completed=file.tell() if file.seekable() else sent)
            bar.update(task, description="Waiting for the answer")

        response = client.post(
            "/prompts/import",
            params=dict(query),
            headers={"Content-Type": "application/x-ndjson"},
            content=chunks(),
        )
        raise_for_refusal(response)
    return _print_report(response.json(), read)


def column_map(pairs: Sequence[str]) -> dict[str, str]:
    """The query's ``map`` of pairs such as ``question=prompt``; empty without any.

    Raises:
        CommandFailed: one is no pair.
    """
    columns = {}
    for each in pairs:
        column, _, name = each.rpartition("=")
        if not column or not name:
            raise CommandFailed(f"--map {each}: write COLUMN=NAME.")
        columns[column] = name
    return {"map": orjson.dumps(columns).decode()} if columns else {}


def _print_report(counts: dict[str, Any], read: JsonSource) -> bool:
    """Print what the service counted, and what it and the source refused, in the file's order."""
    rejected: int = counts["rejected_count"] + read.refused.count
    extended = f"{counts['extended']} extended, " if counts["extended"] else ""
    print(
        f"{counts['created']} created, {extended}{counts['unchanged']} unchanged, "
        f"{counts['labels']} labels, {rejected} rejected"
    )
    _print_left_out(counts, read)
    told = [(each["line"], each["detail"]) for each in counts["rejected"]]
    told += [(each.line, each.detail) for each in read.refused.told]
    shown = sorted(told)[:MAX_REJECTED_LINES_TOLD]
    for number, detail in shown:
        print(f"{read.counts} {number}: {detail}")
    if rejected > len(shown):
        print(f"... and {rejected - len(shown)} more")
    return rejected > 0


def _print_left_out(counts: dict[str, Any], read: JsonSource) -> None:
    """Print what good lines held and the service did not take."""
    for reason, responses in counts["dropped"].items():
        if responses:
            print(f"dropped: {responses} responses ({reason})")
    columns: dict[str, int] = counts["left_out_columns"]
    for name, lines in sorted(columns.items(), key=lambda each: -each[1]):
        print(f"left out: column {name} ({lines} {read.counts}s); --extra keep makes it metadata")
    if counts["labels_left_out_count"]:
        print(f"labels left out: in {counts['labels_left_out_count']} {read.counts}s")
        for each in counts["labels_left_out"][:_LABELS_TOLD]:
            print(f"  {read.counts} {each['line']}: {each['detail']}")
