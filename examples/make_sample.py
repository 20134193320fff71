"""Cut the sample of this folder out of QA-Feedback: every tenth prompt, with the humans' votes."""

import argparse
import gzip
import json
from pathlib import Path
from typing import Any

EVERY = 10


def import_line(source: dict[str, Any]) -> dict[str, Any]:
    """A prompt in the service's own import format."""
    return {
        "id": source["prompt_id"],
        "prompt": source["prompt"],
        "responses": [{"id": one["id"], "text": one["text"]} for one in source["responses"]],
        "metadata": {"source": source["dataset"]},
    }


def vote_lines(source: dict[str, Any]) -> list[dict[str, Any]]:
    """One vote a pair: its two responses, and the preferred one (None: as good as each other)."""
    return [
        {
            "prompt": source["prompt_id"],
            "responses": [vote["a"], vote["b"]],
            "preferred": None if vote["winner"] == "tie" else vote[vote["winner"]],
        }
        for vote in source["preferences"]
    ]


def write_lines(path: Path, objects: list[dict[str, Any]]) -> None:
    """One JSON object a line."""
    lines = (json.dumps(one, ensure_ascii=False) + "\n" for one in objects)
    path.write_text("".join(lines), encoding="utf-8", newline="\n")


def main() -> None:
    """Write `qafeedback-50.ndjson` and `qafeedback-50-votes.ndjson`."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("source", type=Path, help="multi-qafeedback-dev.jsonl.gz")
    parser.add_argument("--to", type=Path, default=Path(__file__).parent, help="folder to write to")
    arguments = parser.parse_args()
    with gzip.open(arguments.source, "rt", encoding="utf-8") as lines:
        chosen = [json.loads(line) for line in lines][::EVERY]
    write_lines(arguments.to / "qafeedback-50.ndjson", [import_line(one) for one in chosen])
    votes = [vote for one in chosen for vote in vote_lines(one)]
    write_lines(arguments.to / "qafeedback-50-votes.ndjson", votes)


if __name__ == "__main__":
    main()
