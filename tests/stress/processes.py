"""API processes over one Postgres, and a planner: the service as it runs on several machines."""

import contextlib
import subprocess
from collections.abc import Iterator
from pathlib import Path

from tests.e2e.serving import (
    COMMAND,
    START_SECONDS,
    answers_ok,
    free_port,
    own_environment,
    process,
    wait_until,
)

ADMIN_KEY = "an-admin-key-for-the-stress-tests"


@contextlib.contextmanager
def running_parts(database_url: str, folder: Path, *, apis: int) -> Iterator[list[str]]:
    """So many API processes and a planner; gives the addresses of the APIs when they answer."""
    environment = _environment(database_url, folder)
    with contextlib.ExitStack() as stack:
        urls = []
        for number in range(apis):
            log = folder / f"api-{number}.log"
            url, started = stack.enter_context(_api(environment, log))
            urls.append((url, started, log))
        planner_log = folder / "planner.log"
        stack.enter_context(process([str(COMMAND), "planner"], environment, planner_log))
        for url, started, log in urls:
            _wait_until_ready(url, started, log)
        yield [url for url, _, _ in urls]


@contextlib.contextmanager
def running_api(database_url: str, folder: Path) -> Iterator[tuple[str, "subprocess.Popen[bytes]"]]:
    """One API process; gives its address when it answers, and the process, to be killed."""
    log = folder / "api.log"
    with _api(_environment(database_url, folder), log) as (url, started):
        _wait_until_ready(url, started, log)
        yield url, started


def _environment(database_url: str, folder: Path) -> dict[str, str]:
    return own_environment(
        DATABASE_URL=database_url,
        ADMIN_KEY=ADMIN_KEY,
        DATA_DIR=str(folder),
        LOG_LEVEL="WARNING",
        OMP_NUM_THREADS="1",
        RATE_LIMIT_REQUESTS_PER_MINUTE="0",
    )


@contextlib.contextmanager
def _api(environment: dict[str, str], log: Path) -> Iterator[tuple[str, "subprocess.Popen[bytes]"]]:
    port = free_port()
    command = [str(COMMAND), "api", "--host", "127.0.0.1", "--port", str(port)]
    with process(command, environment, log) as started:
        yield f"http://127.0.0.1:{port}", started


def _wait_until_ready(url: str, started: "subprocess.Popen[bytes]", log: Path) -> None:
    def is_ready() -> bool:
        assert started.poll() is None, log.read_text(errors="replace")[-4000:]
        return answers_ok(f"{url}/readyz")

    wait_until(is_ready, START_SECONDS, f"{url}/readyz answers 200", log)
