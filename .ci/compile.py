"""Write exact versions of all dependencies to a file: what `make lock` and `make lowest` run.

    .venv/bin/python .ci/compile.py FILE [options of `uv pip compile`]

No address of an index ends up in the file.
"""

import re
import sys
from pathlib import Path
from typing import Final

from run_uv import run_uv

# The project itself pins torch; which GPU packages belong to it depends on the build of torch.
TORCH: Final = re.compile(r"(torch|triton|cuda-[a-z]+|nvidia-[a-z0-9-]+)==")


def main(target: str, *options: str) -> int:
    """Compile ``target`` from the project and all of its groups; gives uv's exit status."""
    status = run_uv(
        *("pip", "compile", "pyproject.toml", "--quiet", "--output-file", target),
        *("--all-extras", "--group", "test", "--group", "lint"),
        *("--universal", "--python-version", "3.11", "--no-header", "--no-annotate"),
        *("--no-emit-index-url", "--no-emit-find-links", *options),
    )
    if status == 0:
        path = Path(target)
        lines = path.read_text(encoding="utf-8").splitlines(keepends=True)
        path.write_text("".join(line for line in lines if not TORCH.match(line)), encoding="utf-8")
    return status


if __name__ == "__main__":
    sys.exit(main(*sys.argv[1:]))
