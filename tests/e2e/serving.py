"""The real service, started as a user starts it: `annotation-budget serve` in its own process."""

import contextlib
import os
import shutil
import signal
import socket
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

import httpx

REPOSITORY = Path(__file__).parents[2]
COMMAND = Path(sys.executable).with_name("annotation-budget")
START_SECONDS = 240.0
STOP_SECONDS = 120.0
_POLL_SECONDS = 0.05
_SETTINGS = ("DATA_DIR", "DATABASE_URL", "REDIS_URL", "ADMIN_KEY", "HOST", "PORT")


@dataclass(frozen=True)
class RunningService:
    """A service that answers, and its admin's key."""

    url: str
    key: str
    port: int
    data_dir: Path
    log: Path

    def client(self) -> httpx.Client:
        """A client with the admin's key."""
        bearer = {"Authorization": f"Bearer {self.key}"}
        return httpx.Client(base_url=self.url, headers=bearer, timeout=300)


def own_environment(**settings: str) -> dict[str, str]:
    """This process's environment without the settings of a service, but for those given."""
    inherited = {name: value for name, value in os.environ.items() if name not in _SETTINGS}
    return inherited | {"HF_HUB_OFFLINE": "1", "TOKENIZERS_PARALLELISM": "false"} | settings


def free_port() -> int:
    """A TCP port nobody listens on."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port: int = probe.getsockname()[1]
        return port


def wait_until(
    holds: Callable[[], bool], seconds: float, what: str, log: Path | None = None
) -> None:
    """Return as soon as it holds; fail in words when it does not in time."""
    deadline = time.monotonic() + seconds
    while not holds():
        if time.monotonic() > deadline:
            end = "" if log is None else "\n" + log.read_text(errors="replace")[-4000:]
            raise TimeoutError(f"not within {seconds:.0f} s: {what}{end}")
        time.sleep(_POLL_SECONDS)


def answers_ok(url: str) -> bool:
    """Whether a GET there gives 200."""
    try:
        return httpx.get(url, timeout=30).status_code == 200
    except httpx.TransportError:
        return False


def read_key(command: Path, data_dir: Path, environment: dict[str, str]) -> str:
    """The admin's key of a service that runs."""
    shown = subprocess.run(
        [command, "key", "--data-dir", data_dir],
        env=environment,
        stdin=subprocess.DEVNULL,
        capture_output=True,
        check=True,
        text=True,
    )
    return shown.stdout.strip()


@contextlib.contextmanager
def open_folder() -> Iterator[Path]:
    """A new folder that other users may enter: under root, Postgres runs as one of them."""
    folder = Path(tempfile.mkdtemp(prefix="annotation-budget-"))
    folder.chmod(0o755)
    try:
        yield folder
    finally:
        shutil.rmtree(folder)


@contextlib.contextmanager
def process(
    arguments: list[str], environment: dict[str, str], log: Path
) -> Iterator[subprocess.Popen[bytes]]:
    """A command of ours that runs meanwhile, and is asked to stop at the end."""
    with log.open("wb") as output:
        started = subprocess.Popen(
            arguments, env=environment, stdin=subprocess.DEVNULL, stdout=output, stderr=output
        )
    try:
        yield started
    finally:
        started.send_signal(signal.SIGTERM)
        try:
            started.wait(STOP_SECONDS)
        except subprocess.TimeoutExpired:
            started.kill()
            started.wait()
            raise


@contextlib.contextmanager
def running_service(
    *, command: Path = COMMAND, prepare: Callable[[Path], None] = Path.mkdir, **settings: str
) -> Iterator[RunningService]:
    """A service with an embedded database in a new folder, stopped with SIGTERM at the end.

    ``prepare`` makes the data folder, and may put files into it.
    """
    port = free_port()
    url = f"http://127.0.0.1:{port}"
    environment = own_environment(**settings)
    with open_folder() as folder:
        data_dir, log = folder / "data", folder / "serve.log"
        prepare(data_dir)
        where = ["--data-dir", str(data_dir), "--host", "127.0.0.1", "--port", str(port)]
        with process([str(command), "serve", *where], environment, log) as server:

            def ready() -> bool:
                assert server.poll() is None, log.read_text(errors="replace")[-4000:]
                return answers_ok(f"{url}/readyz")

            wait_until(ready, START_SECONDS, f"{url}/readyz answers 200", log)
            key = read_key(command, data_dir, environment)
            yield RunningService(url, key, port, data_dir, log)
        assert server.returncode == 0, log.read_text(errors="replace")[-4000:]
