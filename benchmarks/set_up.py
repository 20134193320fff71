"""From a clean clone to the first pair: `make run` beside the same packages installed with pip.

    python -m benchmarks.set_up

Each way starts from a copy of the checkout in a new folder, installs what the service needs, and
starts it twice: on a new database, and with Python's compiled files there. The packages come from
wherever pip is configured to find them, so the figures contain their download, unless they are in
a cache.
"""

import argparse
import contextlib
import json
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path

import httpx

from tests.e2e.serving import (
    REPOSITORY,
    answers_ok,
    free_port,
    open_folder,
    own_environment,
    process,
    read_key,
    wait_until,
)

SAMPLE = REPOSITORY / "examples" / "qafeedback-50.ndjson"
PATIENCE_SECONDS = 900.0


@contextlib.contextmanager
def copy_of_checkout() -> Iterator[Path]:
    """A new folder with the files that git has, or would take."""
    command = ["git", "ls-files", "--cached", "--others", "--exclude-standard", "-z"]
    names = subprocess.run(command, cwd=REPOSITORY, check=True, capture_output=True).stdout
    with open_folder() as folder:
        for name in filter(None, names.decode().split("\0")):
            if (REPOSITORY / name).exists():
                (folder / name).parent.mkdir(parents=True, exist_ok=True)
                (folder / name).write_bytes((REPOSITORY / name).read_bytes())
        yield folder


def with_pip(folder: Path, environment: dict[str, str]) -> None:
    """The packages as pip installs them, compiled."""
    subprocess.run([sys.executable, "-m", "venv", ".venv"], cwd=folder, check=True)
    install = [".venv/bin/python", "-m", "pip", "install", "-q", "-c", ".ci/constraints.txt"]
    subprocess.run([*install, "--editable", "."], cwd=folder, env=environment, check=True)


def with_make(folder: Path, environment: dict[str, str]) -> None:
    """The packages as `make run` installs them."""
    python = f"PYTHON={sys.executable}"
    subprocess.run(
        ["make", "-s", ".venv/.installed", python], cwd=folder, env=environment, check=True
    )


def start(folder: Path, environment: dict[str, str]) -> dict[str, float]:
    """Seconds from the start of the service on a new database to what its user waits for."""
    command = folder / ".venv" / "bin" / "annotation-budget"
    port = free_port()
    url = f"http://127.0.0.1:{port}"
    with open_folder() as data:
        where = ["--data-dir", str(data / "data"), "--host", "127.0.0.1", "--port", str(port)]
        begun = time.monotonic()
        with process([str(command), "serve", *where], environment, data / "log"):
            wait_until(lambda: answers_ok(f"{url}/healthz"), PATIENCE_SECONDS, "/healthz")
            found = {"healthz": time.monotonic() - begun}
            key = read_key(command, data / "data", environment)
            headers = {"Authorization": f"Bearer {key}"}
            with httpx.Client(base_url=url, headers=headers, timeout=PATIENCE_SECONDS) as api:
                lines = [json.loads(line) for line in SAMPLE.read_text("utf-8").splitlines()]
                api.post("/prompts", json={"prompts": lines}).raise_for_status()
                wait_until(
                    lambda: bool(
                        api.get("/next-pairs", params={"wait": 20})
                        .raise_for_status()
                        .json()["pairs"]
                    ),
                    PATIENCE_SECONDS,
                    "a pair is handed out",
                )
            return found | {"first pair": time.monotonic() - begun}


def main() -> None:
    """Print the table."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.parse_args()
    # Python keeps what it compiled, as it does unless it is told otherwise.
    environment = own_environment()
    environment.pop("PYTHONDONTWRITEBYTECODE", None)
    print("| | install | to `/healthz` | to the first pair | again: `/healthz`, first pair |")
    print("|---|---|---|---|---|")
    with tempfile.TemporaryDirectory() as cache:
        cached = environment | {"UV_CACHE_DIR": cache}
        ways = (
            ("pip", with_pip, environment),
            ("`make run`, empty cache", with_make, cached),
            ("`make run`, packages in the cache", with_make, cached),
        )
        for name, install, its in ways:
            with copy_of_checkout() as folder:
                begun = time.monotonic()
                install(folder, its)
                installed = time.monotonic() - begun
                first, second = start(folder, its), start(folder, its)
                shown = [installed, *first.values()]
                again = ", ".join(f"{value:.0f} s" for value in second.values())
                cells = " | ".join(f"{value:.0f} s" for value in shown)
                print(f"| {name} | {cells} | {again} |", flush=True)


if __name__ == "__main__":
    main()
