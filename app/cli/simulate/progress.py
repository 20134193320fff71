"""Tell how far a long command is: a bar on a terminal, and lines in a log."""

import contextlib
import sys
from collections.abc import Callable, Iterator

from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeElapsedColumn

_LINES = 10


@contextlib.contextmanager
def progress(what: str, total: int) -> Iterator[Callable[[int], None]]:
    """What it yields is called with how much more is done.

    On standard error: a bar if that is a terminal, otherwise a line for each tenth.
    """
    if not sys.stderr.isatty():
        yield _lines(what, total)
        return
    with Progress(
        TextColumn("{task.description}"),
        BarColumn(),
        MofNCompleteColumn(),
        TimeElapsedColumn(),
        console=Console(stderr=True),
        transient=True,
    ) as bar:
        task = bar.add_task(what, total=total)
        yield lambda count: bar.advance(task, count)


def _lines(what: str, total: int) -> Callable[[int], None]:
    done = 0

    def advance(count: int) -> None:
        nonlocal done
        told = done * _LINES // max(total, 1)
        done += count
        if done * _LINES // max(total, 1) > told:
            print(f"{what}: {done} of {total}", file=sys.stderr, flush=True)

    return advance
