"""Send a file of prompts to a running service."""

from collections.abc import Iterator
from pathlib import Path

import httpx

from app.cli.transfer.service import Query, progress, raise_for_refusal
from app.cli.transfer.sources import json_lines, opened


def import_file(source: Path, client: httpx.Client, query: Query) -> bool:
    """Send ``source`` (``-``: standard input) line by line, and print the counts.

    Returns whether any line was rejected.
    """
    with opened(source) as (file, size), progress() as bar:
        task = bar.add_task(f"Sending {source}", total=size)

        def lines() -> Iterator[bytes]:
            sent = 0
            for chunk in json_lines(file, source):
                yield chunk
                sent += len(chunk)
                bar.update(task, completed=file.tell() if file.seekable() else sent)
            bar.update(task, description="Waiting for the answer")

        response = client.post(
            "/prompts/import",
            params=dict(query),
            headers={"Content-Type": "application/x-ndjson"},
            content=lines(),
        )
        raise_for_refusal(response)
    counts = response.json()
    rejected: int = counts["rejected_count"]
    print(
        f"{counts['created']} created, {counts['unchanged']} unchanged, "
        f"{counts['labels']} labels, {rejected} rejected"
    )
    for line in counts["rejected"]:
        print(f"line {line['line']}: {line['detail']}")
    if rejected > len(counts["rejected"]):
        print(f"... and {rejected - len(counts['rejected'])} more")
    return rejected > 0
