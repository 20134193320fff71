"""Run uv with the package indexes that pip is configured with.

    .venv/bin/python .ci/run_uv.py pip install ...

uv installs in seconds what takes pip minutes, but it does not read pip's configuration. So the
settings that say where packages come from are passed on to it, as environment variables.
Variables of uv that are set already win.
"""

import ast
import os
import subprocess
import sys
from typing import Final

NAMES: Final = {
    "index-url": ("UV_DEFAULT_INDEX", " "),
    "extra-index-url": ("UV_INDEX", " "),
    "find-links": ("UV_FIND_LINKS", ","),
    "no-index": ("UV_NO_INDEX", " "),
    "constraint": ("UV_CONSTRAINT", " "),
    "cert": ("SSL_CERT_FILE", " "),
    "proxy": ("ALL_PROXY", " "),
    "trusted-host": ("UV_INSECURE_HOST", " "),
    "default-timeout": ("UV_HTTP_TIMEOUT", " "),
    "timeout": ("UV_HTTP_TIMEOUT", " "),
}
"""By pip's name of a setting: the variable that uv reads, and what separates values in it."""


def uv_environment(pip_configuration: str) -> dict[str, str]:
    """uv's variables for what ``pip config list`` prints; the environment overrides files."""
    found = {}
    for source in ("global", "install", ":env:"):
        for line in pip_configuration.splitlines():
            name, _, value = line.partition("=")
            section, _, key = name.rpartition(".")
            if section == source and key in NAMES:
                variable, separator = NAMES[key]
                found[variable] = separator.join(str(ast.literal_eval(value)).split())
    return found


def run_uv(*arguments: str) -> int:
    """Run uv; gives its exit status."""
    list_configuration = [sys.executable, "-m", "pip", "config", "list"]
    pip_configuration = subprocess.run(
        list_configuration, capture_output=True, check=True, text=True
    ).stdout
    # As pip does: the best version of all indexes, not all versions of the first index.
    environment = {"UV_INDEX_STRATEGY": "unsafe-best-match"} | uv_environment(pip_configuration)
    command = [sys.executable, "-m", "uv", *arguments]
    return subprocess.run(command, env=environment | os.environ, check=False).returncode


if __name__ == "__main__":
    sys.exit(run_uv(*sys.argv[1:]))
