"""Run commands of `annotation-budget` one after the other in one process, which saves the imports.

A script of its own: trainers warn about much that is not ours. The commands are a JSON list of
lists of words on standard input.
"""

import json
import sys

from app.cli.__main__ import main


def run() -> None:
    """Stop at the first command that fails, with its name."""
    for words in json.load(sys.stdin):
        try:
            main(words)
        except SystemExit as ended:
            if ended.code:
                raise SystemExit(f"failed: annotation-budget {' '.join(words)}") from ended


if __name__ == "__main__":
    run()
