"""Write exact versions of all dependencies to a file: what `make lock` and `make lowest` run.

    .venv/bin/python .ci/compile.py FILE [options of `uv pip compile`]

uv does not read pip's configuration, so the indexes and find-links that pip is configured with are
passed on to it. No address ends up in the file.
"""

import ast
import os
import re
import subprocess
import sys
from pathlib import Path
from typing import Final

UV_NAMES: Final = {
    "index-url": ("UV_DEFAULT_INDEX", " "),
    "extra-index-url": ("UV_INDEX", " "),
    "find-links": ("UV_FIND_LINKS", ","),
    "cert": ("SSL_CERT_FILE", " "),
}
"""By pip's name of a setting: uv's environment variable, and what separates values in it."""

# The project itself pins torch; which GPU packages belong to it depends on the build of torch.
TORCH: Final = re.compile(r"(torch|triton|cuda-[a-z]+|nvidia-[a-z0-9-]+)==")


def uv_environment(pip_configuration: str) -> dict[str, str]:
    """uv's variables for what ``pip config list`` prints; the environment overrides files."""
    found = {}
    for source in ("global", "install", ":env:"):
        for line in pip_configuration.splitlines():
            name, _, value = line.partition("=")
            section, _, key = name.rpartition(".")
            if section == source and key in UV_NAMES:
                variable, separator = UV_NAMES[key]
                found[variable] = separator.join(str(ast.literal_eval(value)).split())
    return found


def main(target: str, *options: str) -> None:
    """Compile ``target`` from the project and all of its groups."""
    pip_configuration = subprocess.run(
        [sys.executable, "-m", "pip", "config", "list"], capture_output=True, check=True, text=True
    ).stdout
    # As pip does: the best version of all indexes, not all versions of the first index.
    environment = {"UV_INDEX_STRATEGY": "unsafe-best-match"} | uv_environment(pip_configuration)
    command = [sys.executable, "-m", "uv", "pip", "compile", "pyproject.toml", "--quiet"]
    command += ["--all-extras", "--group", "test", "--group", "lint", "--output-file", target]
    command += ["--universal", "--python-version", "3.11", "--no-header", "--no-annotate"]
    command += ["--no-emit-index-url", "--no-emit-find-links", *options]
    subprocess.run(command, env=environment | os.environ, check=True)
    path = Path(target)
    lines = path.read_text(encoding="utf-8").splitlines(keepends=True)
    path.write_text("".join(line for line in lines if not TORCH.match(line)), encoding="utf-8")


if __name__ == "__main__":
    main(*sys.argv[1:])
